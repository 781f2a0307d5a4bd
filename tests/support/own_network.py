"""A network of the test process's own, for tests that run side by side with others on one machine."""

import ctypes
import os
import subprocess
from typing import Final

_CLONE_NEWNET: Final = 0x40000000  # linux/sched.h
#: For benchmarks of networks (RFC 2544): nobody's.
_OWN: Final = "198.18.0.1"
_NOBODY: Final = "198.18.0.2"
_COMMANDS: Final = (
    ("link", "set", "lo", "up"),
    ("link", "add", "tests0", "type", "veth", "peer", "name", "tests1"),
    ("addr", "add", f"{_OWN}/30", "dev", "tests0"),
    ("link", "set", "tests0", "up"),
    ("link", "set", "tests1", "up"),
    ("route", "add", "default", "via", _NOBODY),
)


def enter() -> None:
    """Leave the machine's network; whatever this thread starts from now on does as well.

    The new one has a loopback, one address beside it, and a route that leads nowhere: ports, bridges and packet filter
    rules of engines, agents and platforms in it are their own. Raises OSError without the right to (root has it).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"a network of its own: {os.strerror(number)}")
    for command in _COMMANDS:
        subprocess.run(["ip", *command], check=True)
