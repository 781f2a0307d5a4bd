"""What a container uses, from the kernel's own counters: the text of its cgroup and network files, turned into figures.

Formats: Linux documentation, "Control Group v2" (`cpu.stat`, `memory.current`, `memory.stat`, `memory.max`,
`pids.current`), "Control Groups version 1" (`cpuacct.usage`, `memory.usage_in_bytes`, `memory.stat`), and proc(5) for
`/proc/PID/cgroup` and `/proc/PID/net/dev`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

#: Version 1 writes "no limit" as the largest number of whole pages.
_NO_LIMIT: Final = 2**60


@dataclass(frozen=True, slots=True)
class Sample:
    """Counters of a container at one moment; `at` is seconds of a steady clock, what could not be read is None.

    Memory is without the file cache that the kernel could drop at once, as `docker stats` counts it.
    """

    at: float
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    processes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where the counters of one process's group are, below the folder where groups are mounted."""

    version: int
    cpu: str
    memory: str
    pids: str


def places(text: str) -> Places | None:
    """From `/proc/PID/cgroup`; None when the process is in no group of its own."""
    paths: dict[str, str] = {}
    for row in text.splitlines():
        number, _, rest = row.partition(":")
        names, _, path = rest.partition(":")
        if ".." in path.split("/") or path == "/":
            continue
        for name in names.split(",") if number != "0" else ("",):
            paths[name] = path
    if "memory" in paths and "cpuacct" in paths:
        pids = f"pids{paths['pids']}" if "pids" in paths else ""
        return Places(1, f"cpuacct{paths['cpuacct']}", f"memory{paths['memory']}", pids)
    own = paths.get("", "").lstrip("/")
    return Places(2, own, own, own) if own else None


def sample(at: float, version: int, files: Mapping[str, str], network: str) -> Sample:
    """The counters in the named files of version 1 or 2, and in `/proc/PID/net/dev`."""
    if version == 1:
        nanoseconds = _whole(files.get("cpuacct.usage"))
        cpu = nanoseconds / 1e9 if nanoseconds is not None else None
        used, limit = _whole(files.get("memory.usage_in_bytes")), _whole(files.get("memory.limit_in_bytes"))
        cache = _field(files.get("memory.stat"), "total_inactive_file")
    else:
        microseconds = _field(files.get("cpu.stat"), "usage_usec")
        cpu = microseconds / 1e6 if microseconds is not None else None
        used, limit = _whole(files.get("memory.current")), _whole(files.get("memory.max"))
        cache = _field(files.get("memory.stat"), "inactive_file")
    received, sent = traffic(network)
    return Sample(
        at=at,
        cpu_seconds=cpu,
        memory_bytes=max(0, used - (cache or 0)) if used is not None else None,
        memory_limit_bytes=limit if limit is not None and limit < _NO_LIMIT else None,
        processes=_whole(files.get("pids.current")),
        received_bytes=received,
        sent_bytes=sent,
    )


def traffic(text: str) -> tuple[int | None, int | None]:
    """Bytes received and sent by all interfaces but the loopback, from `/proc/PID/net/dev`; None without any."""
    received = sent = None
    for row in text.splitlines():
        name, colon, rest = row.partition(":")
        numbers = rest.split()
        if not colon or name.strip() == "lo" or len(numbers) < 9 or not (numbers[0] + numbers[8]).isdecimal():
            continue
        received, sent = (received or 0) + int(numbers[0]), (sent or 0) + int(numbers[8])
    return received, sent


def cpu_pct(before: Sample, after: Sample) -> float | None:
    """The share of one processor between two samples, 100 being all of it; None when it cannot be told, as after a
    restart."""
    if before.cpu_seconds is None or after.cpu_seconds is None or after.at <= before.at:
        return None
    used = after.cpu_seconds - before.cpu_seconds
    return round(100 * used / (after.at - before.at), 2) if used >= 0 else None


def _whole(text: str | None) -> int | None:
    plain = (text or "").strip()
    return int(plain) if plain.isdecimal() else None


def _field(text: str | None, name: str) -> int | None:
    for row in (text or "").splitlines():
        key, _, value = row.partition(" ")
        if key == name:
            return _whole(value)
    return None
