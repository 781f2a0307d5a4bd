"""The gateway port over nginx: routes and notices are links that it reads with each request, what is in flight stands
in the kernel's table of connections.

The configuration is daemons/kit/nginx_runtime.conf. nginx must run on this machine, in the host's network, and its
workers must be able to read the folder. It cannot keep requests waiting.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import aiohttp

from daemons.agent.adapters.haproxy import until_quiet
from daemons.agent.adapters.links import Links
from daemons.agent.domain.connections import in_flight
from daemons.agent.domain.visitors import InFlight, Notice, Patience
from daemons.agent.ports import GatewayDown, GatewayError
from daemons.kit.nginx_runtime import REQUESTS, SOCKETS, STREAMS

_T = TypeVar("_T")
_ANSWER_SECONDS: Final = 3.0
_TABLE: Final = Path("/proc/net/tcp")
_VERSION: Final = re.compile(r"[0-9][0-9.]{0,30}")


class NginxGateway:
    """One gateway; this agent is the only writer of its folder. `admin` is where the gateway answers what it reads."""

    def __init__(self, folder: Path, admin: str) -> None:
        self._folder = folder
        self._admin = admin
        self._routes = Links(folder / "routes")
        self._notices = Links(folder / "notices")
        self._lock = asyncio.Lock()

    async def route(self, app_id: str, port: int) -> None:
        """The link, then a look whether the gateway reads it; then it is made to survive the machine. Raises
        GatewayError, and then the link is what it was."""
        async with self._lock:
            before = (await self._filed()).get(app_id)
            try:
                await self._write(lambda: self._routes.put(app_id, str(port)))
                await self._verify(app_id, port)
                await self._write(self._routes.settle)
            except GatewayError:
                await self._write(lambda: self._restore(app_id, before))
                raise

    async def hold(self, app_id: str) -> None:
        """Raises GatewayError: nginx has no way to let a request wait for a link."""
        raise GatewayError(
            f"requests of app {app_id} cannot be kept waiting by nginx: "
            "set RUNTIME_GATEWAY_DRIVER=haproxy for apps that must stop before their next version starts"
        )

    async def remove(self, app_id: str) -> None:
        """Raises GatewayError. There is nobody to tell: what is not there leads nowhere."""
        async with self._lock:
            await self._write(lambda: self._remove(app_id))

    async def announce(self, app_id: str, notice: Notice | None) -> None:
        """Raises GatewayError."""
        async with self._lock:
            await self._write(lambda: self._announce(app_id, notice))

    async def in_flight(self, port: int) -> int:
        """Raises GatewayError."""
        return (await self._served(port)).total

    async def drain(self, port: int, patience: Patience) -> InFlight:
        """Quiet twice in a row, or what is left at the end of the patience. Raises GatewayError."""
        return await until_quiet(lambda: self._served(port), patience)

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        """Raises GatewayError; the links are made in any case. An app on hold keeps no route."""
        async with self._lock:
            wanted = {app_id: str(port) for app_id, port in routes().items() if port is not None}
            mended = await self._write(lambda: self._mend(wanted))
            await self.ping()
            return mended

    async def ping(self) -> None:
        """Raises GatewayError unless the gateway answers."""
        await self._ask("/version")

    async def version(self) -> str:
        """Raises GatewayError."""
        return f"nginx {await self._ask('/version')}"

    async def _verify(self, app_id: str, port: int) -> None:
        seen = await self._ask(f"/route?app={app_id}")
        if seen != f"127.0.0.1:{port}":
            raise GatewayError(
                f"the gateway reads {seen or 'nothing'} for app {app_id} instead of 127.0.0.1:{port}: is "
                f"{self._folder} the folder that its configuration names (RUNTIME_NGINX_FOLDER), and may its workers "
                "read it?"
            )

    async def _ask(self, path: str) -> str:
        """What the gateway answers; nothing for 404. Raises GatewayError."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        url = f"http://{self._admin}{path}"
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
                text = (await answer.text()).strip()
        except aiohttp.ClientConnectionError as error:
            words = f"no gateway listens on {self._admin}: is nginx running (RUNTIME_NGINX_ADMIN)?"
            raise GatewayDown(words) from error
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            words = f"the gateway did not answer on {self._admin} within {_ANSWER_SECONDS:g} s"
            raise GatewayError(f"{words} ({type(error).__name__})") from error
        if answer.status == 404 and path != "/version":
            return ""
        if answer.status != 200 or (path == "/version" and not _VERSION.fullmatch(text)):
            raise GatewayError(
                f"who listens on {self._admin} is not this node's gateway: {answer.status} {text[:100]!r} (it must be "
                "rendered by `funai gateway render --kind nginx --role runtime --admin`)"
            )
        return text

    async def _served(self, port: int) -> InFlight:
        """By every worker together, those of former configurations too."""
        try:
            table = await asyncio.to_thread(_TABLE.read_text, "ascii")
        except OSError as error:
            raise GatewayError(f"connections cannot be counted: {_TABLE}: {error.strerror or error}") from error
        return in_flight(table, port, REQUESTS, SOCKETS, STREAMS)

    async def _filed(self) -> Mapping[str, str]:
        return await self._write(self._routes.all)

    async def _write(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise GatewayError(f"the links in {self._folder} cannot be made: {error.strerror or error}") from error

    def _restore(self, app_id: str, word: str | None) -> None:
        if word:
            self._routes.put(app_id, word)
        else:
            self._routes.drop(app_id)
        self._routes.settle()

    def _remove(self, app_id: str) -> None:
        for links in (self._routes, self._notices):
            links.drop(app_id)
            links.settle()

    def _announce(self, app_id: str, notice: Notice | None) -> None:
        held = self._notices.all().get(app_id)
        if held == (notice.value if notice is not None else None):
            return
        if notice is None:
            self._notices.drop(app_id)
        else:
            self._notices.put(app_id, notice.value)
        self._notices.settle()

    def _mend(self, wanted: Mapping[str, str]) -> int:
        mended = self._routes.mend(wanted)
        self._routes.tidy([notice.value for notice in Notice])
        return mended
