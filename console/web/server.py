"""`funai console --serve`: the console in a browser, on 127.0.0.1 unless told, behind the control plane's own token."""

import asyncio
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Final

from aiohttp import WSMsgType, web

from console.connect import admin
from console.settings import ConsoleSettings
from console.web.gate import Address, Gate, Session
from console.web.process import ConsoleProcess
from console.web.tabs import Full, Tab, Tabs
from protocol.client.transport import ClientError, Refused

_COOKIE: Final = "funai-console"
_TAB: Final = re.compile(r"[0-9a-f]{32}")
_LONGEST_TYPED: Final = 64 * 1024
_MOST_CELLS: Final = 1000
_HERE: Final = Path(__file__).resolve().parent
#: Nothing from elsewhere is loaded, and no page of others may show ours in a frame.
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "font-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """The pages and the sockets."""

    def __init__(
        self, settings: ConsoleSettings, address: Address, arguments: tuple[str, ...], group: asyncio.TaskGroup
    ) -> None:
        self._settings = settings
        self._address = address
        self._arguments = arguments
        self._gate = Gate(time.monotonic)
        self.tabs = Tabs(group, time.monotonic, self._console)

    def application(self) -> web.Application:
        """All routes behind the check of where a request comes from."""
        app = web.Application(middlewares=[self._guarded], client_max_size=16 * 1024)
        app.add_routes(
            [
                web.get("/", self.index),
                web.post("/login", self.login),
                web.post("/logout", self.logout),
                web.get("/ws/{tab}", self.socket),
                web.get("/tabs/{tab}", self.tab),
                web.static("/pages", _HERE / "pages"),
                web.static("/static", terminal_files()),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._address.knows_host(request.headers.get("Host")):
            raise web.HTTPMisdirectedRequest(text="this is the console of another host; see --public-url\n")
        changing = request.method != "GET" or request.path.startswith("/ws/")
        if changing and not self._address.knows_origin(request.headers.get("Origin")):
            raise web.HTTPForbidden(text="only the console's own page may do this\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    async def index(self, request: web.Request) -> web.StreamResponse:
        """The console, or the question for a token."""
        return _page("login.html" if self._session(request) is None else "console.html")

    async def login(self, request: web.Request) -> web.StreamResponse:
        """Take a token if the control plane does."""
        if self._gate.closed:
            return _page("login.html", 429, "Too many wrong tokens; wait a minute.")
        token = (await request.post()).get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not 0 < len(token) < 1000:
            return _page("login.html", 400, "That is not a token.")
        client = admin(replace(self._settings, admin_token=token))
        try:
            async with client.transport:
                await client.nodes()
        except Refused:
            self._gate.wrong()
            return _page("login.html", 403, "The control plane does not accept this token.")
        except ClientError:
            return _page("login.html", 503, "The control plane does not answer; try again in a moment.")
        answer = _to_index()
        name = self._gate.open(token).name
        answer.set_cookie(_COOKIE, name, httponly=True, samesite="Strict", secure=self._address.secure, path="/")
        return answer

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """End the session and its consoles."""
        session = self._session(request)
        if session is not None:
            self._gate.end(session)
            await self.tabs.end(session)
        answer = _to_index()
        answer.del_cookie(_COOKIE, path="/")
        return answer

    async def tab(self, request: web.Request) -> web.StreamResponse:
        """Whether a tab's console still waits for it."""
        session = self._session(request)
        if session is None or not self.tabs.waits(session, request.match_info["tab"]):
            raise web.HTTPNotFound
        return web.Response(status=204)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """A tab's terminal."""
        session, name = self._session(request), request.match_info["tab"]
        if session is None or not _TAB.fullmatch(name):
            raise web.HTTPForbidden(text="log in first\n")
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=2 * _LONGEST_TYPED)
        await socket.prepare(request)
        size = (_cells(request.query.get("width"), 80), _cells(request.query.get("height"), 24))
        try:
            tab = await self.tabs.come(session, name, socket, size)
        except (Full, OSError):
            await socket.close(code=1013, message=b"no more consoles can be opened now")
            return socket
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await _heard(tab, socket, message.json())
        finally:
            self.tabs.leave(tab, socket)
        return socket

    def _session(self, request: web.Request) -> Session | None:
        return self._gate.session(request.cookies.get(_COOKIE))

    def _console(self, session: Session) -> ConsoleProcess:
        return ConsoleProcess(self._arguments, environment(self._settings, session.token))


async def _heard(tab: Tab, socket: web.WebSocketResponse, envelope: object) -> None:
    match envelope:
        case ["stdin", str(text)] if len(text) <= _LONGEST_TYPED:
            await tab.process.type(text)
        case ["resize", {"width": int(width), "height": int(height)}]:
            await tab.process.resize(_within(width), _within(height))
        case ["ping", data]:
            await socket.send_json(["pong", data])
        case ["focus" | "blur" as kind, *_]:
            await tab.process.focus(on=kind == "focus")
        case _:
            return


def environment(settings: ConsoleSettings, token: str) -> Mapping[str, str]:
    """What a tab's console is told: the served control plane with the operator's own token and no context, whose token
    would be somebody else's; and what the served context allows."""
    return {
        "FUNAI_CONTEXT": "",
        "FUNAI_DEPLOY_URL": settings.deploy_url,
        "FUNAI_API_URL": settings.api_url or "",
        "DEPLOY_ADMIN_TOKEN": token,
        "FUNAI_CONSOLE_WRITE": str(settings.write).lower(),
        "FUNAI_CONSOLE_PRODUCTION": str(settings.production).lower(),
    }


def terminal_files() -> Path:
    """The terminal that runs in the browser: xterm.js, as textual-serve brings it. Raises ModuleNotFoundError."""
    return Path(str(files("textual_serve"))) / "static"


def _to_index() -> web.Response:
    return web.Response(status=303, headers={"Location": "/"})


def _page(name: str, status: int = 200, problem: str = "") -> web.Response:
    text = (_HERE / "pages" / name).read_text("utf-8").replace("{problem}", problem)
    return web.Response(text=text, status=status, content_type="text/html")


def _cells(given: str | None, otherwise: int) -> int:
    return _within(int(given)) if given and given.isdecimal() and len(given) < 5 else otherwise


def _within(cells: int) -> int:
    return max(10, min(cells, _MOST_CELLS))


async def serve(settings: ConsoleSettings, address: Address, arguments: tuple[str, ...]) -> None:
    """Serve until SIGINT or SIGTERM. Raises OSError when the port cannot be had."""
    stop = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with asyncio.TaskGroup() as group:
        server = Server(settings, address, arguments, group)
        runner = web.AppRunner(server.application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, address.host, address.port).start()
            watching = group.create_task(server.tabs.watch())
            where = address.public_url or f"http://{address.host}:{address.port}/"
            sys.stderr.write(f"funai: the console is at {where}; log in with the admin token; Ctrl-C ends it\n")
            await stop.wait()
            watching.cancel()
            await server.tabs.end()
        finally:
            await runner.cleanup()
