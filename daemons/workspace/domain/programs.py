"""What is run in a user's container, and how it waits until the node has it in hand.

Every program starts behind a gate: a shell that reads one line from a pipe of the node's and only then becomes the
program. Meanwhile the node puts it into a control group of its own, which nothing that the program starts can leave:
that is what ends all of it, whatever it was renamed to, detached from or double-forked into.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from daemons.workspace.domain.containers import GATES

_TAG: Final = re.compile(r"[a-z0-9]{8,40}")
#: A program whose gate never opened ends with 125.
_GATE: Final = 'read -r _ <"$1" || exit 125; shift; exec "$@"'
#: What the node gives it comes through the gate as well, after the line that opened it.
#: It is opened once: whoever gives nothing may close it as soon as the line was read.
_GATE_FED: Final = 'exec <"$1" || exit 125; read -r _ || exit 125; shift; exec "$@"'
#: What it says goes to a file of the user's, so that it is not lost when nobody listens.
_GATE_TO_FILE: Final = 'read -r _ <"$1" || exit 125; exec >>"$2" 2>&1 </dev/null || exit 125; shift 2; exec "$@"'


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its arguments, what it has in its environment besides the container's, where it starts, and the file
    of the container that takes what it writes (none: whoever opened it reads along). One that is `fed` reads what the
    node gives it."""

    command: tuple[str, ...]
    folder: str
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    output: str | None = None
    fed: bool = False


def gated(program: Program, tag: str) -> tuple[str, ...]:
    """The command that waits at the gate and then becomes the program."""
    gate = f"{GATES}/{checked_tag(tag)}"
    if program.output is None:
        return ("sh", "-c", _GATE_FED if program.fed else _GATE, "sh", gate, *program.command)
    return ("sh", "-c", _GATE_TO_FILE, "sh", gate, program.output, *program.command)


def checked_tag(tag: str) -> str:
    """The tag, if it is one: it becomes part of paths. Raises ValueError."""
    if not _TAG.fullmatch(tag):
        raise ValueError("a program's tag must be 8 to 40 lower-case letters and digits")
    return tag


def group_path(cgroup_file: str, *, second_layout: bool) -> str | None:
    """Where the container's group is below the mount point, from the text of /proc/PID/cgroup; None where it has none.

    In the first layout the freezer's: what it holds can be stopped whole, killed and let go, so that no fork escapes.
    """
    for line in cgroup_file.splitlines():
        _, controllers, path = line.split(":", 2)
        if second_layout and not controllers:
            return path
        if not second_layout and "freezer" in controllers.split(","):
            return f"/freezer{path}"
    return None
