"""The node's packet filter through iptables, which every container engine needs on its machine anyway."""

import asyncio
import shutil
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO, Final

from daemons.agent.domain import isolation
from daemons.agent.ports import EngineError

_SECONDS: Final = 15.0
#: Where daemons find it whose PATH leaves the system's folders out.
_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_IPV6: Final = Path("/proc/net/if_inet6")
#: What engines give containers as name servers; the second is the first's true content under systemd-resolved.
_RESOLVERS: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
_ADVICE: Final = (
    "apps are not started unfenced: let the agent set packet filter rules (iptables installed, CAP_NET_ADMIN), or set "
    "RUNTIME_APP_FIREWALL=false to let apps reach this machine and its networks"
)


class Iptables:
    """Holds the rules of domain/isolation.py over the interfaces named (a trailing `+` stands for any rest)."""

    def __init__(
        self,
        name: str,
        interfaces: Sequence[str],
        reach: Sequence[isolation.Reach] = (),
        denied: Sequence[IPv4Network] = (),
    ) -> None:
        self._name = name
        self._interfaces = tuple(interfaces)
        self._reach = tuple(reach)
        self._denied = tuple(denied)

    async def hold(self, services: Collection[int] = ()) -> None:
        """Every rule is in place afterwards, whatever was there before. Raises EngineError."""
        openings = isolation.Openings(self._reach, await asyncio.to_thread(_resolvers), tuple(services))
        rules = isolation.rules_v4(self._name, openings, self._denied)
        await self._apply("iptables", rules)
        if await asyncio.to_thread(_IPV6.exists):
            await self._apply("ip6tables", isolation.rules_v6(self._name))

    async def _apply(self, program: str, rules: str) -> None:
        status, problem = await _run([f"{program}-restore", "--wait", "5", "--noflush"], rules)
        if status:
            raise EngineError(f"the packet filter could not be set ({program}-restore: {problem}); {_ADVICE}")
        for interface in self._interfaces:
            await self._lead(program, isolation.jump(interface, self._name))

    async def _lead(self, program: str, jump: Sequence[str]) -> None:
        argv = [program, "-w", "5", "-t", "mangle"]
        status, _ = await _run([*argv, "-C", *jump])
        if status:
            status, problem = await _run([*argv, "-I", *jump])
            if status:
                raise EngineError(f"the packet filter could not be set ({program}: {problem}); {_ADVICE}")


class NoFirewall:
    """For who says that apps need no fence around them."""

    async def hold(self, services: Collection[int] = ()) -> None:
        """Nothing."""


async def _run(argv: Sequence[str], text: str = "") -> tuple[int, str]:
    """Exit status and what was said; raises EngineError when the program is missing or hangs."""
    program = await asyncio.to_thread(_find, argv[0])
    if program is None:
        raise EngineError(f"the packet filter could not be set ({argv[0]} is not installed); {_ADVICE}")
    # A file, because a pipe breaks when the program ends before it has read everything.
    with await asyncio.to_thread(_input, text) as stdin:
        process = await asyncio.create_subprocess_exec(program, *argv[1:], stdin=stdin, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(_SECONDS):
            _, problem = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise EngineError(f"{argv[0]} did not end within {_SECONDS:g} s; {_ADVICE}") from error
    words = problem.decode(errors="replace").strip().splitlines()
    return process.returncode or 0, words[0][:300] if words else f"exit status {process.returncode}"


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
            found += isolation.resolvers(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return tuple(dict.fromkeys(found))
