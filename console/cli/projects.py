"""A small project for each template of the runner's, none with a Dockerfile; each serves one page on port 3000."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

_NODE: Final = """import { createServer } from 'node:http';
const page = PAGE;
createServer((_, answer) => answer.end(page)).listen(Number(process.env.PORT), '0.0.0.0');
"""
_PYTHON: Final = """import http.server
import os

PAGE = PAGE_TEXT


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE.encode())


http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Page).serve_forever()
"""
_GO: Final = """package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) { io.WriteString(answer, PAGE) })
	if err := http.ListenAndServe(":"+os.Getenv("PORT"), nil); err != nil {
		panic(err)
	}
}
"""
#: What builders say when an image that a stage begins from is neither there nor to be had: the engine at its
#: instruction, buildah before the first one.
_NO_BASE: Final = re.compile(
    r"the build failed at Step \d+/\d+ : FROM |fetching the base image |creating build container: ", re.I
)

_ARGUMENT: Final = re.compile(r": FROM \$\{([A-Z_]+)\}")


def _static(page: str) -> dict[str, str]:
    return {"index.html": f"<h1>{page}</h1>\n"}


def _node(page: str) -> dict[str, str]:
    package = {"name": "smoke", "version": "1.0.0", "type": "module", "scripts": {"start": "node server.js"}}
    root = {"name": "smoke", "version": "1.0.0"}
    lock = root | {"lockfileVersion": 3, "requires": True, "packages": {"": root}}
    server = _NODE.replace("PAGE", json.dumps(page))
    return {"package.json": json.dumps(package), "package-lock.json": json.dumps(lock), "server.js": server}


def _python(page: str) -> dict[str, str]:
    return {"requirements.txt": "# none\n", "main.py": _PYTHON.replace("PAGE_TEXT", repr(page))}


def _go(page: str) -> dict[str, str]:
    return {"go.mod": "module smoke\n\ngo 1.19\n", "main.go": _GO.replace("PAGE", json.dumps(page))}


#: By template: the project's files when its page says a text.
PROJECTS: Final[Mapping[str, Callable[[str], dict[str, str]]]] = {
    "static": _static,
    "node": _node,
    "python": _python,
    "go": _go,
}


def no_base_image(message: str) -> str | None:
    """Which image a build had not to begin from and why, if that is why it failed."""
    first = message.partition("\n")[0]
    if not _NO_BASE.search(first):
        return None
    # The engine tells the instruction as it is written; the log's last lines tell what its argument is.
    argument = _ARGUMENT.search(first)
    named = re.search(rf"ARG {argument[1]}=(\S+)", message) if argument else None
    return f"{named[1]}: {first[:300]}" if named else first[:300]
