"""Routes in HAProxy: the map file first, then the running process over its admin socket, then a look whether it holds.

Commands: HAProxy 2.6 management guide, section 9.3 (`show map`, `set map`, `add map`, `del map`, `show table`).
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from daemons.agent.adapters.state import replace_file
from daemons.agent.ports import GatewayDown, GatewayError

_ADDRESS: Final = "127.0.0.1"
_ANSWER_SECONDS: Final = 3.0
_TABLE: Final = "apps"
#: In place of an address: the gateway lets requests wait until one comes.
_HOLD: Final = "hold"
_VERSION: Final = re.compile(r"^Version: (\S+)$", re.MULTILINE)
_CONNECTIONS: Final = re.compile(r"\bconn_cur=([0-9]+)")


class HaproxyGateway:
    """One gateway process; this agent is the only writer of its map."""

    def __init__(self, map_path: Path, socket_path: Path) -> None:
        self._map = map_path
        self._socket = socket_path
        self._lock = asyncio.Lock()

    async def route(self, app_id: str, port: int) -> None:
        """Both file and process, or neither. Raises GatewayError."""
        await self._set(app_id, _target(port))

    async def hold(self, app_id: str) -> None:
        """Both file and process, or neither. Raises GatewayError."""
        await self._set(app_id, _HOLD)

    async def remove(self, app_id: str) -> None:
        """Raises GatewayError; a gateway that is not running has no route once the file has none."""
        async with self._lock:
            before = await self._read()
            await self._write({key: value for key, value in before.items() if key != app_id})
            try:
                await self._apply(app_id, None, await self._show())
            except GatewayDown:
                return

    async def in_flight(self, port: int) -> int:
        """Raises GatewayError."""
        answer = await self._ask(f"show table {_TABLE} key {_target(port)}")
        found = _CONNECTIONS.search(answer)
        # A target that never had a request is not in the table, and the answer is then empty.
        if found is None and answer.strip() and not answer.startswith("# table"):
            raise GatewayError(f"the gateway does not count requests: {_first_line(answer)}")
        return int(found[1]) if found else 0

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        """Raises GatewayError; the file is written in any case."""
        async with self._lock:
            wanted = {app_id: _target(port) for app_id, port in routes().items()}
            mended = 0
            if await self._read() != wanted:
                await self._write(wanted)
                mended += 1
            held = await self._show()
            for app_id in sorted(held.keys() | wanted.keys()):
                if held.get(app_id) != ([wanted[app_id]] if app_id in wanted else None):
                    await self._apply(app_id, wanted.get(app_id), held)
                    mended += 1
            return mended

    async def ping(self) -> None:
        """Raises GatewayError unless a gateway with this map answers."""
        await self._show()

    async def version(self) -> str:
        """Raises GatewayError."""
        answer = await self._ask("show info")
        found = _VERSION.search(answer)
        if found is None:
            raise GatewayError(f"the gateway does not say its version: {_first_line(answer)}")
        return f"haproxy {found[1]}"

    async def _set(self, app_id: str, target: str) -> None:
        async with self._lock:
            before = await self._read()
            await self._write(before | {app_id: target})
            try:
                await self._apply(app_id, target, await self._show())
            except GatewayError:
                await self._write(before)
                raise

    async def _apply(self, app_id: str, target: str | None, held: Mapping[str, list[str]]) -> None:
        """Make the running process hold one route, given what it holds; verified."""
        values = held.get(app_id, [])
        if target is None or len(values) > 1:
            if values:
                await self._order(f"del map {self._map} {app_id}")
            values = []
        if target is not None and values != [target]:
            await self._order(f"{'set' if values else 'add'} map {self._map} {app_id} {target}")
        now = (await self._show()).get(app_id, [])
        if now != ([target] if target is not None else []):
            raise GatewayError(f"the gateway holds {now or 'no route'} for app {app_id} instead of {target or 'none'}")

    async def _show(self) -> dict[str, list[str]]:
        answer = await self._ask(f"show map {self._map}")
        held: dict[str, list[str]] = {}
        for line in answer.splitlines():
            fields = line.split(" ", 2)
            if len(fields) == 3 and fields[0].startswith("0x"):
                held.setdefault(fields[1], []).append(fields[2].strip())
            elif line.strip():
                raise GatewayError(
                    f"the gateway has no map {self._map}: {_first_line(answer)} "
                    "(RUNTIME_GATEWAY_MAP must be the path that stands in its configuration)"
                )
        return held

    async def _order(self, command: str) -> None:
        answer = (await self._ask(command)).strip()
        if answer:
            raise GatewayError(f"the gateway refused a route: {_first_line(answer)}")

    async def _ask(self, command: str) -> str:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                try:
                    writer.write(f"{command}\n".encode("ascii"))
                    await writer.drain()
                    return (await reader.read()).decode("utf-8", "replace")
                finally:
                    writer.close()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise GatewayDown(f"no gateway listens on {self._socket}: is HAProxy running?") from error
        except TimeoutError as error:
            raise GatewayError(f"the gateway did not answer on {self._socket} within {_ANSWER_SECONDS:g} s") from error
        except OSError as error:
            raise GatewayError(f"the gateway's socket {self._socket} cannot be used: {error}") from error

    async def _read(self) -> dict[str, str]:
        return await asyncio.to_thread(self._read_file)

    async def _write(self, routes: Mapping[str, str]) -> None:
        try:
            await asyncio.to_thread(self._write_file, routes)
        except OSError as error:
            raise GatewayError(f"the route map {self._map} cannot be written: {error.strerror or error}") from error

    def _read_file(self) -> dict[str, str]:
        try:
            lines = self._map.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise GatewayError(f"the route map {self._map} cannot be read: {error.strerror or error}") from error
        fields = (line.split() for line in lines)
        return {pair[0]: pair[1] for pair in fields if len(pair) == 2 and not pair[0].startswith("#")}

    def _write_file(self, routes: Mapping[str, str]) -> None:
        self._map.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._map, "".join(f"{app} {target}\n" for app, target in sorted(routes.items())).encode())


def _target(port: int | None) -> str:
    return f"{_ADDRESS}:{port}" if port is not None else _HOLD


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no answer"])[0][:200]
