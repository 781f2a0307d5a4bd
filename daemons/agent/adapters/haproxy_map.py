"""One map of HAProxy: its file, from which every process starts, and the same in every process that runs.

Commands: HAProxy 2.6 management guide, section 9.3 (`show map`, `get map`, `set map`, `add map`, `del map`).
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from daemons.agent.adapters.haproxy_admin import Admin, Process
from daemons.agent.ports import GatewayError
from daemons.kit.durable import make_durable, replace_at_once, replace_file

_FOUND: Final = re.compile(r'found=(?:(no)|yes,.*?\bvalue="([^"]*)")')


class RuntimeMap:
    """Written by this agent alone. Callers see to it that one change is made at a time."""

    def __init__(self, path: Path, admin: Admin) -> None:
        self._path = path
        self._admin = admin
        self._filed: dict[str, str] | None = None
        self._lines: dict[str, bytes] = {}

    async def filed(self) -> Mapping[str, str]:
        """What the file says. Raises GatewayError."""
        if self._filed is None:
            self._know(await asyncio.to_thread(self._read_file))
        return self._filed or {}

    async def put(self, key: str, value: str | None) -> None:
        """First the file, then every process, verified; then the file is made to survive the machine too.

        Raises GatewayError, and then the file is what it was. Whoever starts after a crash of processes finds the new
        file. After a crash of the machine before the return it may be the former one, which is true as well: nothing
        that the former route needs is taken away before the return.
        """
        before = (await self.filed()).get(key)
        self._note(key, value)
        try:
            await self._write(replace_at_once)
            await self.tell(key, value)
            await self._settle()
        except GatewayError:
            await self.file(key, before)
            raise

    async def file(self, key: str, value: str | None) -> None:
        """The file alone, durably. Raises GatewayError."""
        await self.filed()
        self._note(key, value)
        await self._write()

    async def tell(self, key: str, value: str | None) -> None:
        """Every process that runs. Raises GatewayError."""
        for process in await self._admin.processes():
            await self._tell(process, key, value)

    async def mend(self, wanted: Mapping[str, str]) -> int:
        """Make the file and every process hold exactly this; how much had to be changed. Raises GatewayError."""
        mended = 0
        self._know(await asyncio.to_thread(self._read_file))
        if self._filed != wanted:
            self._know(dict(wanted))
            await self._write()
            mended += 1
        for process in await self._admin.processes():
            mended += await self._mend(process, wanted)
        return mended

    async def look(self) -> None:
        """Raises GatewayError unless a gateway with this map answers."""
        for process in await self._admin.processes():
            _found(await process.ask(f"get map {self._path} -"), self._path)

    async def _tell(self, process: Process, key: str, value: str | None) -> None:
        look = f"get map {self._path} {key}"
        change = f"del map {self._path} {key}" if value is None else f"set map {self._path} {key} {value}"
        answer = await process.ask(change, look)
        if not answer:
            return
        if value is not None and _found(answer, self._path) is None:
            answer = await process.ask(f"add map {self._path} {key} {value}", look)
        if (held := _found(answer, self._path)) != value:
            raise GatewayError(f"the gateway holds {held or 'nothing'} for app {key} instead of {value or 'nothing'}")

    async def _mend(self, process: Process, wanted: Mapping[str, str]) -> int:
        held = await self._held(process)
        commands = [f"del map {self._path} {key}" for key in held if key not in wanted]
        for key, value in wanted.items():
            # Changed in place: a key that is taken away first leads nowhere for a moment.
            if held.get(key, value) != value or key not in held:
                commands.append(f"{'set' if key in held else 'add'} map {self._path} {key} {value}")
        if not commands:
            return 0
        await process.ask(*commands)
        held = await self._held(process)
        if held and held != wanted:
            raise GatewayError(f"the gateway does not hold what {self._path} says although it was told")
        return len(commands)

    async def _held(self, process: Process) -> dict[str, str]:
        """What the process has. A key that stands twice with two values has none, which nobody wants."""
        held: dict[str, str] = {}
        for line in (await process.ask(f"show map {self._path}")).splitlines():
            fields = line.split(" ", 2)
            if len(fields) == 3 and fields[0].startswith("0x"):
                value = fields[2].strip()
                held[fields[1]] = value if held.get(fields[1], value) == value else ""
            elif line.strip():
                raise _unknown(self._path, line)
        return held

    def _know(self, entries: dict[str, str]) -> None:
        self._filed = entries
        self._lines = {key: _line(key, value) for key, value in entries.items()}

    def _note(self, key: str, value: str | None) -> None:
        """One line; those of all others are kept as they were written, because there may be 10,000."""
        if self._filed is None:
            return
        if value is None:
            self._filed.pop(key, None)
            self._lines.pop(key, None)
        else:
            self._filed[key] = value
            self._lines[key] = _line(key, value)

    async def _write(self, replace: Callable[[Path, bytes], None] = replace_file) -> None:
        content = b"".join(self._lines.values())
        try:
            await asyncio.to_thread(self._write_file, content, replace)
        except OSError as error:
            # What the file says is not known any more.
            self._filed = None
            raise GatewayError(f"the map {self._path} cannot be written: {error.strerror or error}") from error

    async def _settle(self) -> None:
        try:
            await asyncio.to_thread(make_durable, self._path)
        except OSError as error:
            raise GatewayError(f"the map {self._path} cannot be made durable: {error.strerror or error}") from error

    def _read_file(self) -> dict[str, str]:
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise GatewayError(f"the map {self._path} cannot be read: {error.strerror or error}") from error
        return dict(_pairs(lines))

    def _write_file(self, content: bytes, replace: Callable[[Path, bytes], None]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace(self._path, content)


def _line(key: str, value: str) -> bytes:
    return f"{key} {value}\n".encode()


def _pairs(lines: Sequence[str]) -> list[tuple[str, str]]:
    fields = (line.split() for line in lines)
    return [(pair[0], pair[1]) for pair in fields if len(pair) == 2 and not pair[0].startswith("#")]


def _found(answer: str, path: Path) -> str | None:
    """The value that `get map` printed last. Raises GatewayError when it printed none."""
    if not answer:
        return None
    found = _FOUND.findall(answer)
    if not found:
        raise _unknown(path, answer)
    return found[-1][1] or None


def _unknown(path: Path, answer: str) -> GatewayError:
    first = (answer.strip().splitlines() or ["no answer"])[0][:200]
    return GatewayError(
        f"the gateway has no map {path}: {first} "
        "(RUNTIME_GATEWAY_MAP must be the path that stands in its configuration)"
    )
