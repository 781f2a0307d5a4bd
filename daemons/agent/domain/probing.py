"""What a starting container's signs mean: is it up, still coming, or lost, and why in words its owner can act on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

_LISTENING: Final = "0A"
_PAUSES: Final = (0.02, 0.03, 0.05, 0.1, 0.15, 0.25)
_LOOPBACK_V6: Final = "00000000000000000000000001000000"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says of a container; `kept` when the engine restarts it by itself."""

    running: bool
    exit_code: int = 0
    oom_killed: bool = False
    restarting: bool = False
    restarts: int = 0
    error: str = ""
    image: str = ""
    host_port: int | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One probe's result: an HTTP status, or what went wrong instead; `silent` when nothing accepted the connection."""

    status: int | None = None
    problem: str = ""
    silent: bool = False

    @property
    def healthy(self) -> bool:
        """Any answer below 500 is an app that works."""
        return self.status is not None and self.status < 500

    def __str__(self) -> str:
        return f"HTTP {self.status}" if self.status is not None else self.problem


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that accepts connections inside the container."""

    port: int
    loopback: bool


def pauses() -> Iterator[float]:
    """Seconds to wait before each next probe: short at first, because most apps are up at once."""
    yield from _PAUSES
    while True:
        yield _PAUSES[-1]


def crash(state: ContainerState | None, memory_bytes: int) -> str | None:
    """Why the container is lost, or None while it runs."""
    if state is None:
        return "the container disappeared while it was starting"
    if state.running and not state.restarting and state.restarts == 0:
        return None
    if state.oom_killed:
        return f"the container was killed for using more than its {memory_bytes // 1024**2} MiB of memory (OOMKilled)"
    reason = f": {state.error}" if state.error else ""
    return f"the container exited with code {state.exit_code} while it was starting{reason}"


def not_in_time(port: int, path: str, seconds: float, last: Answer | None, listeners: Collection[Listener]) -> str:
    """Why a container that runs was given up on, with what to change."""
    answering = {one.port for one in listeners if not one.loopback}
    if port in answering or (last is not None and not last.silent):
        return (
            f"the app listens on port {port} but GET {path} was not answered below 500 within {seconds:g} s "
            f"(last: {last}); mend it or set another healthCheckPath"
        )
    if any(one.port == port for one in listeners):
        return f"the app listens on port {port} of 127.0.0.1 only; let it listen on 0.0.0.0"
    advice = (
        f"it listens on {', '.join(map(str, sorted(answering)))}: set containerPort to that or let the app read PORT"
        if answering
        else "set containerPort to the port the app listens on, or let the app read PORT"
    )
    return f"nothing listens on port {port} of the container after {seconds:g} s; {advice}"


def listeners(table: str) -> tuple[Listener, ...]:
    """The listening sockets in the text of /proc/net/tcp or tcp6 (proc(5): local address and state are hexadecimal)."""
    found = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTENING and ":" in fields[1]:
            address, _, port = fields[1].rpartition(":")
            found.append(Listener(int(port, 16), _is_loopback(address)))
    return tuple(found)


def _is_loopback(address: str) -> bool:
    """127.0.0.0/8 in the kernel's little-endian spelling, or ::1; the engine's own name server listens there too."""
    return address == _LOOPBACK_V6 or (len(address) == 8 and address.endswith("7F"))
