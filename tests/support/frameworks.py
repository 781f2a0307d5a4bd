"""Projects of real frameworks, made on this machine by their own generators and package managers."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support import real

_EXPRESS = """const express = require('express');
const app = express();
app.get('/', (_, answer) => answer.send('<h1>first</h1><a href="/next">on</a>'));
app.get('/go', (_, answer) => answer.redirect('/next'));
app.get('/next', (_, answer) => answer.send('next'));
app.listen(process.env.PORT, process.env.HOST);
"""
_FLASK = """from flask import Flask, redirect

app = Flask(__name__)


@app.get("/")
def first():
    return "<h1>first</h1>"


@app.get("/go")
def go():
    return redirect("/next")
"""


def vite(folder: Path) -> Path:
    """React with TypeScript, as `npm create vite` makes it."""
    _npx(folder, "create-vite@latest", "vite-project", "--template", "react-ts", "--no-interactive")
    _npm(folder / "vite-project", "install", "--no-audit", "--no-fund")
    return folder / "vite-project"


def next_app(folder: Path) -> Path:
    """The app router with TypeScript, as `npm create next-app` makes it, packages and all."""
    plain = ("--no-linter", "--no-tailwind", "--no-src-dir", "--use-npm", "--disable-git", "--yes")
    _npx(folder, "create-next-app@latest", "next-project", "--ts", "--app", *plain)
    return folder / "next-project"


def express(folder: Path) -> Path:
    """An Express app that Node starts again when it changes."""
    made = folder / "express"
    made.mkdir()
    package = {"name": "sample", "version": "1.0.0", "scripts": {"dev": "node --watch server.js"}}
    (made / "package.json").write_text(json.dumps(package))
    (made / "server.js").write_text(_EXPRESS)
    _npm(made, "install", "--no-audit", "--no-fund", "express")
    return made


def flask(folder: Path) -> Path:
    """A Flask app."""
    made = folder / "flask"
    made.mkdir()
    (made / "requirements.txt").write_text("flask\n")
    (made / "app.py").write_text(_FLASK)
    return made


def virtual_environment(folder: Path, requirements: Path) -> None:
    """The environment that a run makes for itself where a registry is reached, for this machine's Python."""
    home = Path(sys.base_prefix) / "bin"
    python = f"python3.{sys.version_info.minor}"
    packages = folder / "lib" / python / "site-packages"
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(home / python)
    (folder / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    argv = [sys.executable, "-m", "pip", "install", "-q", "--target", str(packages), "-r", str(requirements)]
    subprocess.run(argv, check=True, capture_output=True)
    (folder / ".installed").write_text(requirements.read_text())


def _npx(folder: Path, *argv: str) -> None:
    subprocess.run(
        [real.program("npx", "npm"), "--yes", *argv],
        cwd=folder,
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


def _npm(folder: Path, *argv: str) -> None:
    subprocess.run([real.program("npm", "npm"), *argv], cwd=folder, check=True, capture_output=True)
