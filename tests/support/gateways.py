"""A gateway of the test's own, HAProxy or nginx, and apps behind it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from aiohttp import web
from multidict import CIMultiDict

from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.agent.adapters.haproxy_admin import Admin
from daemons.agent.adapters.nginx import NginxGateway
from daemons.kit.gateway import Gateway, command, install
from daemons.kit.haproxy_entry import Services
from daemons.kit.nginx_runtime import RuntimeNginx, render
from tests.support import real

_NGINX: Final = """user root;
worker_processes 2;
pid {folder}/pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


class Running:
    """A HAProxy process with a map of its own."""

    def __init__(self, folder: Path, entrances: tuple[str, ...] = (), services: Services | None = None) -> None:
        self.port = real.free_port()
        self.folder = folder
        self.map_path = folder / "routes.map"
        self.socket_path = folder / "admin.sock"
        self.url = f"http://127.0.0.1:{self.port}"
        configuration = Gateway(
            "127.0.0.1",
            self.port,
            self.map_path,
            self.socket_path,
            max_connections=200,
            max_per_app=20,
            entrances=entrances,
            services=services,
        )
        install(configuration, folder / "haproxy.cfg")
        self.configuration = configuration
        self.driver = HaproxyGateway(self.map_path, self.socket_path)

    def argv(self) -> Sequence[str]:
        """As a supervisor runs it."""
        return command(real.program("haproxy", "haproxy"), self.configuration, self.folder / "haproxy.cfg")

    async def tell(self, line: str) -> None:
        """A command behind the driver's back."""
        for process in await Admin(self.socket_path).processes():
            await process.ask(line)

    async def held(self) -> dict[str, str]:
        """The routes of the running process."""
        (process,) = await Admin(self.socket_path).processes()
        answer = await process.ask(f"show map {self.map_path}")
        return {line.split()[1]: line.split()[2] for line in answer.splitlines() if line.strip()}


class RunningNginx:
    """An nginx process with links of its own."""

    def __init__(
        self, folder: Path, entrances: tuple[str, ...] = (), *, port: int | None = None, most: int = 20
    ) -> None:
        self.port = port or real.free_port()
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.port}"
        admin = ("127.0.0.1", real.free_port())
        links = folder / "links"
        self.configuration = RuntimeNginx("127.0.0.1", self.port, links, admin, max_per_app=most, entrances=entrances)
        nginx_configured(folder, render(self.configuration))
        self.driver = NginxGateway(links, f"127.0.0.1:{admin[1]}")

    def argv(self) -> Sequence[str]:
        """As a supervisor runs it."""
        return nginx_argv(self.folder)


AnyGateway: TypeAlias = Running | RunningNginx


def nginx_configured(folder: Path, site: str) -> None:
    """An nginx's folder, with what it serves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder))


def nginx_argv(folder: Path) -> Sequence[str]:
    """The command line of an nginx in the foreground."""
    argv = (real.program("nginx", "nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"))
    return (*argv, "-e", str(folder / "error.log"), "-g", "daemon off;")


class Backends:
    """Apps that echo what reached them: `?slow` after `release`, `?pause=N` in so many seconds, `?events` for ever,
    `?answer=NAME: VALUE` with such a header, `?read` with the size of what was sent."""

    def __init__(self) -> None:
        self._gate = asyncio.Event()
        self._runners: dict[int, web.AppRunner] = {}

    async def serve(self, name: str) -> int:
        """The port of a new app."""
        app = web.Application(client_max_size=2**30)
        app.router.add_route("*", "/{rest:.*}", self.handler(name))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port: int = runner.addresses[0][1]
        self._runners[port] = runner
        return port

    def handler(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """What such an app does with any request."""

        async def answer(request: web.Request) -> web.StreamResponse:
            if request.headers.get("Upgrade") == "websocket":
                return await _echo(name, request)
            if "events" in request.query:
                return await _events(name, request)
            if "slow" in request.query:
                await self._gate.wait()
            await asyncio.sleep(float(request.query.get("pause", 0)))
            given = [line.partition(": ")[::2] for line in request.query.getall("answer", [])]
            got = {key.lower(): value for key, value in request.headers.items()}
            size = len(await request.read()) if "read" in request.query else None
            answer = {"name": name, "method": request.method, "path": request.raw_path, "headers": got, "size": size}
            return web.json_response(answer, headers=CIMultiDict(given))

        return answer

    async def stop(self, port: int) -> None:
        """End one."""
        await self._runners.pop(port).cleanup()

    def release(self) -> None:
        """Answer the slow ones."""
        self._gate.set()

    async def close(self) -> None:
        """End all."""
        self.release()
        for runner in self._runners.values():
            await runner.cleanup()


async def _events(name: str, request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await stream.prepare(request)
    with suppress(ConnectionError):
        while True:
            await stream.write(f"data: {name}\n\n".encode())
            await asyncio.sleep(0.05)
    return stream


async def _echo(name: str, request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(f"{name}:{message.data}")
    return socket
