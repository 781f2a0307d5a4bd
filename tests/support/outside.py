"""A network beyond this machine, made of a namespace: a metadata service, a private neighbour and a public server."""

import fcntl
import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

from tests.support import real

METADATA: Final = "169.254.169.254"
#: Of no use on the internet any more (RFC 7526), and in no private range.
PUBLIC: Final = "192.88.99.1"
NEIGHBOUR: Final = "10.233.77.2"
_GATEWAY: Final = "10.233.77.1"


@contextmanager
def outside(folder: Path) -> Iterator[Path]:
    """Each of the three serves HTTP on ports 80 and 81 for the duration of the block, and this machine reaches it.

    What they serve is in the file that comes back.
    """
    name = f"fo{secrets.token_hex(3)}"
    inner = ["ip", "netns", "exec", name]
    commands = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "up0", "netns", name],
        ["ip", "addr", "add", f"{_GATEWAY}/30", "dev", name],
        ["ip", "link", "set", name, "up"],
        [*inner, "ip", "link", "set", "lo", "up"],
        [*inner, "ip", "addr", "add", f"{NEIGHBOUR}/30", "dev", "up0"],
        [*inner, "ip", "addr", "add", f"{METADATA}/32", "dev", "lo"],
        [*inner, "ip", "addr", "add", f"{PUBLIC}/32", "dev", "lo"],
        [*inner, "ip", "link", "set", "up0", "up"],
        [*inner, "ip", "route", "add", "default", "via", _GATEWAY],
        *(["ip", "route", "add", f"{address}/32", "via", NEIGHBOUR] for address in (METADATA, PUBLIC)),
    ]
    busybox = real.program("busybox", "busybox-static")
    with _turn(), _namespace(name, commands):
        pages = folder / "outside"
        pages.mkdir()
        (pages / "index.html").write_text("reached\n")
        serve = [*inner, busybox, "httpd", "-f", "-h", str(pages), "-p"]
        with (
            real.process([*serve, "80"], folder / "outside80.log"),
            real.process([*serve, "81"], folder / "outside81.log"),
        ):
            for address in (NEIGHBOUR, METADATA, PUBLIC):
                for port in (80, 81):
                    real.wait_until(lambda: real.listening(port, address), f"{address}:{port}")  # noqa: B023
            yield pages / "index.html"


@contextmanager
def neighbour(folder: Path) -> Iterator[tuple[str, str]]:
    """A namespace and its private address, which serves HTTP on port 81. Each process has its own at the same time."""
    name = f"nb{secrets.token_hex(3)}"
    first = IPv4Address("10.234.0.0") + 4 * (os.getpid() % 2**14)
    gateway, address = str(first + 1), str(first + 2)
    inner = ["ip", "netns", "exec", name]
    commands = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", name, "type", "veth", "peer", "name", "up0", "netns", name],
        ["ip", "addr", "add", f"{gateway}/30", "dev", name],
        ["ip", "link", "set", name, "up"],
        [*inner, "ip", "addr", "add", f"{address}/30", "dev", "up0"],
        [*inner, "ip", "link", "set", "up0", "up"],
        [*inner, "ip", "route", "add", "default", "via", gateway],
    ]
    busybox = real.program("busybox", "busybox-static")
    with _namespace(name, commands):
        serve = [*inner, busybox, "httpd", "-f", "-h", str(folder), "-p", "81"]
        with real.process(serve, folder / "neighbour.log"):
            real.wait_until(lambda: real.listening(81, address), f"{address}:81")
            yield name, address


@contextmanager
def _turn() -> Iterator[None]:
    """One at a time on this machine: the addresses are the same for all."""
    with Path(tempfile.gettempdir(), "funai-outside.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _namespace(name: str, commands: Sequence[Sequence[str]]) -> Iterator[None]:
    """What the commands make of the name goes with it."""
    if os.geteuid():
        real.missing("a network namespace", "nothing, but run as root")
    try:
        for argv in commands:
            subprocess.run(argv, check=True, capture_output=True)
        yield
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
