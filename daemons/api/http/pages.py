"""The operators' pages: files that are the same for everybody, and the addresses that they had before.

Whatever a page shows it asks for with a proof in a header, so no address carries one, nor does a log of addresses.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web

from daemons.kit.openapi import Answers

_FOLDER: Final = Path(__file__).parents[1] / "pages"
_KINDS: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_PAGES: Final = ("nodes.html", "nodes-admin.html")
_MODES: Final = ("workspace", "deploy")
#: Apps of users share the gateway's origin: nothing but files of the API runs in these pages, no text becomes markup,
#: no frame holds them, and a window that some app opened has no hold on them.
_GUARDS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    body: bytes
    tag: str


def _load(path: Path) -> _File:
    body = path.read_bytes()
    return _File(_KINDS[path.suffix], body, hashlib.sha256(body).hexdigest()[:32])


#: Read before anything is served; a new version comes with a new process.
_FILES: Final = {path.name: _load(path) for path in _FOLDER.iterdir() if path.suffix in _KINDS}


class PageRoutes:
    """Nobody proves anything here."""

    def table(self) -> list[web.RouteDef]:
        """For anybody."""
        pages = [web.get(f"/admin/{name}", self.page) for name in _PAGES]
        return [
            *pages,
            web.get("/admin/nodes-assets/{name}", self.asset),
            web.get("/nodes.html", self.entry),
            web.get("/nodes-admin.html", self.same_mode),
            web.get("/workspace-nodes{rest:[a-z-]{0,32}}.html", self.workspace),
            web.get("/deploy-nodes.html", self.deploy),
        ]

    @Answers("a page", also={304: "as it was"})
    async def page(self, request: web.Request) -> web.Response:
        """One of the pages."""
        return _serve(request, request.path.removeprefix("/admin/"))

    @Answers("a file", also={304: "as it was"}, refuses=(404,))
    async def asset(self, request: web.Request) -> web.Response:
        """What a page is made of."""
        name = request.match_info["name"]
        if name in _PAGES or name not in _FILES:
            raise web.HTTPNotFound
        return _serve(request, name)

    @Answers("elsewhere", status=302)
    async def entry(self, _request: web.Request) -> web.Response:
        """The page with two cards."""
        return _moved("/admin/nodes.html")

    @Answers("elsewhere", status=302)
    async def same_mode(self, request: web.Request) -> web.Response:
        """Of the query nothing but the mode is kept: somebody may have put a token there."""
        mode = request.query.get("mode")
        return _moved(f"/admin/nodes-admin.html?mode={mode}" if mode in _MODES else "/admin/nodes-admin.html")

    @Answers("elsewhere", status=302, refuses=(404,))
    async def workspace(self, _request: web.Request) -> web.Response:
        """Workspace nodes."""
        return _moved("/admin/nodes-admin.html?mode=workspace")

    @Answers("elsewhere", status=302)
    async def deploy(self, _request: web.Request) -> web.Response:
        """Runtime nodes."""
        return _moved("/admin/nodes-admin.html?mode=deploy")


def _serve(request: web.Request, name: str) -> web.Response:
    file = _FILES[name]
    guards = {**_GUARDS, "ETag": f'"{file.tag}"'}
    if request.headers.get("If-None-Match") == guards["ETag"]:
        return web.Response(status=304, headers=guards)
    return web.Response(body=file.body, content_type=file.kind, charset="utf-8", headers=guards)


def _moved(where: str) -> web.Response:
    """Browsers take the fragment along; no server sees it."""
    return web.Response(status=302, headers={"Location": where, "Referrer-Policy": "no-referrer"})
