"""Python projects: how their dependencies are installed, and what starts them on port 3000."""

import re
from typing import Final

from daemons.runner.domain.evidence import Choice, Passed, Tree, table, toml_table

_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,99})\s*(\[[A-Za-z0-9,\s._-]{0,200}\])?")
_ENTRIES: Final = ("main.py", "app.py", "server.py")
#: Extras of a framework that bring its server along.
_WITH_SERVER: Final = ("[standard]", "[all]")


def choose(tree: Tree) -> Choice | Passed | None:
    """A template for the tree, if it is a Python project."""
    manifest = next((name for name in ("requirements.txt", "pyproject.toml") if name in tree.files), None)
    if manifest is None:
        return None
    if manifest in tree.unread:
        return Passed(f"{manifest}, which {tree.unread[manifest]}")
    needed = _requirements(tree.texts.get("requirements.txt", "")) | _project(tree.texts.get("pyproject.toml", ""))
    started = _start(tree, needed)
    if started is None:
        return Passed(f"{manifest} without {', '.join(_ENTRIES)} or manage.py beside it")
    command, why = started
    fill = {"START": command} | _install(tree)
    return Choice("python", (f"{manifest}: Python", why), fill)


def _install(tree: Tree) -> dict[str, str]:
    """Requirements go before the sources, so that a changed line does not install them again."""
    if "requirements.txt" in tree.files:
        return {"MANIFESTS": "requirements.txt", "INSTALL": "python3 -m pip install -r requirements.txt"}
    return {"MANIFESTS": ".", "INSTALL": "python3 -m pip install ."}


def _start(tree: Tree, needed: frozenset[str]) -> tuple[str, str] | None:
    entry = next((name for name in _ENTRIES if name in tree.files), None)
    if "manage.py" in tree.files:
        command = '"python3", "manage.py", "runserver", "--noreload", "0.0.0.0:3000"'
        return command, "manage.py: Django's own server; commit a Dockerfile for another"
    if entry is None:
        return None
    module = entry.removesuffix(".py")
    for server, command in _servers(module):
        if server in needed:
            return command, f"{entry}, and {server} is required: {server} serves the `app` in it"
    return f'"python3", "{entry}"', f"{entry}: python3 {entry}, which has to listen on the port in PORT"


def _servers(module: str) -> tuple[tuple[str, str], ...]:
    return (
        ("gunicorn", f'"python3", "-m", "gunicorn", "--bind", "0.0.0.0:3000", "{module}:app"'),
        ("uvicorn", f'"python3", "-m", "uvicorn", "--host", "0.0.0.0", "--port", "3000", "{module}:app"'),
        ("flask", f'"python3", "-m", "flask", "--app", "{module}", "run", "--host", "0.0.0.0", "--port", "3000"'),
    )


def _requirements(text: str) -> frozenset[str]:
    return frozenset(name for line in text.splitlines() for name in _names(line.strip()))


def _project(text: str) -> frozenset[str]:
    listed = table((toml_table(text) or {}).get("project")).get("dependencies")
    lines = listed if isinstance(listed, list) else []
    return frozenset(name for line in lines if isinstance(line, str) for name in _names(line.strip()))


def _names(line: str) -> tuple[str, ...]:
    found = _REQUIREMENT.match(line)
    if found is None:
        return ()
    name = found[1].lower().replace("_", "-")
    extras = (found[2] or "").replace(" ", "").lower()
    # A worker class of uvicorn's under gunicorn is more than a template should guess: uvicorn alone serves it.
    return (name, "uvicorn") if name == "fastapi" and extras in _WITH_SERVER else (name,)
