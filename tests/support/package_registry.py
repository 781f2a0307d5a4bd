"""A registry for npm and an index for pip in one small server, with a package each, and what it was asked for."""

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support import real

NPM_PACKAGE, PIP_PACKAGE = "left-of-tests", "right-of-tests"


@dataclass
class Packages:
    """A running one."""

    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def npm(self) -> str:
        """The registry's address."""
        return f"http://{real.own_address()}:{self.port}"

    @property
    def pip(self) -> str:
        """The index's address."""
        return f"{self.npm}/simple/"


@contextmanager
def packages() -> Iterator[Packages]:
    """On every address of this machine."""
    server = ThreadingHTTPServer(("0.0.0.0", 0), _Handler)
    found = _Handler.known[server.server_address[1]] = Packages(server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    known: dict[int, Packages] = {}  # noqa: RUF012 - servers by their ports

    def do_GET(self) -> None:
        registry = self.known[self.server.server_address[1]]  # type: ignore[index]
        registry.asked.append(self.path)
        answers = {
            f"/{NPM_PACKAGE}": ("application/json", json.dumps(_packument(registry.npm)).encode()),
            f"/{NPM_PACKAGE}/-/{NPM_PACKAGE}-1.0.0.tgz": ("application/octet-stream", _tarball()),
            f"/simple/{PIP_PACKAGE}/": ("text/html", _links()),
            f"/files/{_WHEEL}": ("application/octet-stream", _wheel()),
        }
        kind, body = answers.get(self.path, ("text/plain", b""))
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "public, max-age=3600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


_WHEEL = "right_of_tests-1.0.0-py3-none-any.whl"


def _packument(url: str) -> dict[str, object]:
    data = _tarball()
    proof = f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}"
    dist = {"tarball": f"{url}/{NPM_PACKAGE}/-/{NPM_PACKAGE}-1.0.0.tgz", "integrity": proof}
    version = {"name": NPM_PACKAGE, "version": "1.0.0", "dist": dist}
    return {"name": NPM_PACKAGE, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}


def _tarball() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, text in (("package.json", _MANIFEST), ("index.js", "module.exports = 1;\n" * 20_000)):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


_MANIFEST = json.dumps({"name": NPM_PACKAGE, "version": "1.0.0"})


def _wheel() -> bytes:
    stream = io.BytesIO()
    info = "right_of_tests-1.0.0.dist-info"
    files = {
        "right_of_tests.py": "VALUE = 1\n" * 10,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PIP_PACKAGE}\nVersion: 1.0.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return stream.getvalue()


def _links() -> bytes:
    digest = hashlib.sha256(_wheel()).hexdigest()
    return f'<!DOCTYPE html><a href="/files/{_WHEEL}#sha256={digest}">{_WHEEL}</a>'.encode()
