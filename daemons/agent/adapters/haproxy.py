"""The gateway port over HAProxy: routes and notices are maps, what is in flight stands in stick tables.

The configuration is daemons/kit/haproxy.cfg.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from daemons.agent.adapters.haproxy_admin import Admin, Process
from daemons.agent.adapters.haproxy_map import RuntimeMap
from daemons.agent.domain.visitors import InFlight, Notice, Patience, worth_waiting
from daemons.agent.ports import GatewayDown, GatewayError

_ADDRESS: Final = "127.0.0.1"
#: In place of an address: the gateway lets requests wait until one comes.
_HOLD: Final = "hold"
_LOOK_SECONDS: Final = 0.1
#: In this order, because one that ends in between would otherwise look like a request for a moment.
_TABLES: Final = ("sockets", "streams", "apps")
_VERSION: Final = re.compile(r"^Version: (\S+)$", re.MULTILINE)
_TABLE: Final = re.compile(r"^# table: (\w+),.*\n0x.*\bconn_cur=([0-9]+).*$", re.MULTILINE)


class HaproxyGateway:
    """One gateway; this agent is the only writer of its maps."""

    def __init__(self, map_path: Path, socket_path: Path) -> None:
        self._admin = Admin(socket_path)
        self._routes = RuntimeMap(map_path, self._admin)
        self._notices = RuntimeMap(map_path.with_name("notices.map"), self._admin)
        self._lock = asyncio.Lock()

    async def route(self, app_id: str, port: int) -> None:
        """Both file and processes, or neither. Raises GatewayError."""
        async with self._lock:
            await self._routes.put(app_id, _target(port))

    async def hold(self, app_id: str) -> None:
        """Both file and processes, or neither. Raises GatewayError."""
        async with self._lock:
            await self._routes.put(app_id, _HOLD)

    async def remove(self, app_id: str) -> None:
        """Raises GatewayError; a gateway that is not running has no route once the file has none."""
        async with self._lock:
            await _end(self._routes, app_id)
            if app_id in await self._notices.filed():
                await _end(self._notices, app_id)

    async def announce(self, app_id: str, notice: Notice | None) -> None:
        """Raises GatewayError; a gateway that is not running reads the file when it starts."""
        async with self._lock:
            value = notice.value if notice is not None else None
            if (await self._notices.filed()).get(app_id) == value:
                return
            await self._notices.file(app_id, value)
            try:
                await self._notices.tell(app_id, value)
            except GatewayDown:
                return

    async def in_flight(self, port: int) -> int:
        """Raises GatewayError."""
        return (await self._served(port)).total

    async def drain(self, port: int, patience: Patience) -> InFlight:
        """Quiet twice in a row, or what is left at the end of the patience. Raises GatewayError."""
        return await until_quiet(lambda: self._served(port), patience)

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        """Raises GatewayError; the file is written in any case."""
        async with self._lock:
            wanted = {app_id: _target(port) for app_id, port in routes().items()}
            mended = await self._routes.mend(wanted)
            return mended + await self._notices.mend(dict(await self._notices.filed()))

    async def ping(self) -> None:
        """Raises GatewayError unless a gateway with this map answers."""
        await self._routes.look()

    async def version(self) -> str:
        """Raises GatewayError."""
        newest = (await self._admin.processes())[0]
        answer = await newest.ask("show info")
        found = _VERSION.search(answer)
        if found is None:
            raise GatewayError(f"the gateway does not say its version: {answer.strip()[:200] or 'no answer'}")
        return f"haproxy {found[1]}"

    async def _served(self, port: int) -> InFlight:
        """By every process together: after a reload the former one still serves what it had begun."""
        counts = dict.fromkeys(_TABLES, 0)
        for process in await self._admin.processes():
            for table, count in (await _counts(process, _target(port))).items():
                counts[table] += count
        requests = max(0, counts["apps"] - counts["sockets"] - counts["streams"])
        return InFlight(requests, counts["sockets"], counts["streams"])


async def until_quiet(
    look: Callable[[], Awaitable[InFlight]], patience: Patience, pause: float = _LOOK_SECONDS
) -> InFlight:
    """Look again after each `pause` (seconds) until nothing is left, twice in a row, or nothing is worth the wait."""
    clock = asyncio.get_running_loop().time
    began, quiet = clock(), 0
    while True:
        try:
            left = await look()
        except GatewayDown:
            return InFlight()
        quiet = quiet + 1 if left.total == 0 else 0
        if quiet == 2 or (left.total and not worth_waiting(left, clock() - began, patience)):
            return left
        await asyncio.sleep(pause)


async def _counts(process: Process, target: str) -> Mapping[str, int]:
    answer = await process.ask(*(f"show table {table} key {target}" for table in _TABLES))
    # A target that never had a request is in no table, and a table without it answers nothing.
    rest = _TABLE.sub("", answer).strip()
    if rest:
        raise GatewayError(f"the gateway does not count requests: {rest.splitlines()[0][:200]}")
    return {table: int(count) for table, count in _TABLE.findall(answer)}


async def _end(entries: RuntimeMap, key: str) -> None:
    await entries.file(key, None)
    try:
        await entries.tell(key, None)
    except GatewayDown:
        return


def _target(port: int | None) -> str:
    return f"{_ADDRESS}:{port}" if port is not None else _HOLD
