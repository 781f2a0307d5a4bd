"""The node's packet filter through iptables, which every container engine needs on its machine anyway."""

import asyncio
import logging
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO, Final

from daemons.kit.engine import fences
from daemons.kit.engine.errors import EngineError

logger = logging.getLogger(__name__)

_SECONDS: Final = 15.0
_NAME_SECONDS: Final = 3.0
#: Where daemons find it whose PATH leaves the system's folders out.
_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_IPV6: Final = Path("/proc/net/if_inet6")
#: What engines give containers as name servers; the second is the first's true content under systemd-resolved.
_RESOLVERS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


class Iptables:
    """Holds the rules of domain/fences.py."""

    def __init__(
        self,
        reach: Sequence[fences.Reach] = (),
        denied: Sequence[IPv4Network] = (),
        servers: Sequence[tuple[str, int]] = (),
        *,
        advice: str = "",
    ) -> None:
        """`servers` are names or addresses, and TCP ports, that containers may reach wherever their names lead now;
        `advice` is what an operator may do when rules cannot be set."""
        self._advice = advice
        self._reach = tuple(reach)
        self._denied = tuple(denied)
        self._servers: dict[tuple[str, int], tuple[fences.Reach, ...]] = {server: () for server in servers}
        self._unknown: dict[str, str] = {}

    async def hold(self, fence: fences.Fence) -> None:
        """Every rule is in place afterwards, whatever was there before. Raises EngineError."""
        await self._look_up()
        reach = [*self._reach, *(one for found in self._servers.values() for one in found)]
        openings = fences.Openings(tuple(reach), await asyncio.to_thread(_resolvers), fence.services)
        with self._advising():
            await _apply("iptables", fence, fences.rules_v4(fence.chain, openings, self._denied))
            if await asyncio.to_thread(_IPV6.exists):
                await _apply("ip6tables", fence, fences.rules_v6(fence.chain))

    async def release(self, fence: fences.Fence) -> None:
        """None of the rules is left. Raises EngineError."""
        with self._advising():
            await _take_away("iptables", fence)
            if await asyncio.to_thread(_IPV6.exists):
                await _take_away("ip6tables", fence)

    @contextmanager
    def _advising(self) -> Iterator[None]:
        try:
            yield
        except EngineError as error:
            raise EngineError(f"{error}; {self._advice}" if self._advice else str(error)) from error

    async def _look_up(self) -> None:
        """Names that nobody knows now lead where they led."""
        for name, port in self._servers:
            try:
                async with asyncio.timeout(_NAME_SECONDS):
                    found = await asyncio.get_running_loop().getaddrinfo(
                        name, port, family=socket.AF_INET, type=socket.SOCK_STREAM
                    )
            except (TimeoutError, OSError) as error:
                self._warn(name, str(error) or f"no answer within {_NAME_SECONDS:g} s")
                continue
            self._unknown.pop(name, None)
            addresses = sorted({str(address[0]) for *_, address in found})
            self._servers[(name, port)] = tuple(
                fences.Reach(IPv4Network(f"{address}/32"), port) for address in addresses
            )

    def _warn(self, name: str, problem: str) -> None:
        """Once, because names are looked up again and again."""
        if self._unknown.get(name) != problem:
            self._unknown[name] = problem
            logger.warning(
                "containers may not reach a server whose name is not known", extra={"server": name, "error": problem}
            )


class NoFirewall:
    """For who says that containers need no fence around them."""

    async def hold(self, fence: fences.Fence) -> None:
        """Nothing."""

    async def release(self, fence: fences.Fence) -> None:
        """Nothing."""


async def _apply(program: str, fence: fences.Fence, rules: str) -> None:
    status, problem = await _run([f"{program}-restore", "--wait", "5", "--noflush"], rules)
    if status:
        raise EngineError(f"the packet filter could not be set ({program}-restore: {problem})")
    for interface in fence.interfaces:
        jump = fences.jump(interface, fence.chain)
        if not await _there(program, "-C", *jump):
            await _change(program, "-I", *jump)


async def _take_away(program: str, fence: fences.Fence) -> None:
    for interface in fence.interfaces:
        jump = fences.jump(interface, fence.chain)
        while await _there(program, "-C", *jump):
            await _change(program, "-D", *jump)
    if await _there(program, "-S", fence.chain):
        await _change(program, "-F", fence.chain)
        await _change(program, "-X", fence.chain)


async def _there(program: str, *rule: str) -> bool:
    status, _ = await _run([*_mangle(program), *rule])
    return status == 0


async def _change(program: str, *rule: str) -> None:
    status, problem = await _run([*_mangle(program), *rule])
    if status:
        raise EngineError(f"the packet filter could not be set ({program}: {problem})")


def _mangle(program: str) -> Sequence[str]:
    return (program, "-w", "5", "-t", "mangle")


async def _run(argv: Sequence[str], text: str = "") -> tuple[int, str]:
    """Exit status and what was said; raises EngineError when the program is missing or hangs."""
    program = await asyncio.to_thread(_find, argv[0])
    if program is None:
        raise EngineError(f"the packet filter could not be set ({argv[0]} is not installed)")
    # A file, because a pipe breaks when the program ends before it has read everything.
    with await asyncio.to_thread(_input, text) as stdin:
        process = await asyncio.create_subprocess_exec(program, *argv[1:], stdin=stdin, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(_SECONDS):
            _, problem = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise EngineError(f"{argv[0]} did not end within {_SECONDS:g} s") from error
    # Remarks about rules of other programs begin with a number sign.
    lines = [line for line in problem.decode(errors="replace").splitlines() if line.strip() and line[0] != "#"]
    return process.returncode or 0, lines[0][:300] if lines else f"exit status {process.returncode}"


def _input(text: str) -> IO[bytes]:
    found = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    found.write(text.encode())
    found.seek(0)
    return found


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path=_FOLDERS)


def _resolvers() -> tuple[IPv4Address, ...]:
    found: list[IPv4Address] = []
    for path in _RESOLVERS:
        try:
            found += fences.resolvers(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return tuple(dict.fromkeys(found))
