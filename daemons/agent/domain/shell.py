"""Shells in the containers of apps: what they run, how long they may be open, and how they are ended."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from protocol.shell import ShellEnd, ShellEndReason, ShellStart

#: What every process of a shell has in its environment, with the shell's own value: it is found by that.
MARK: Final = "FUNAI_SHELL"
#: The image's own shell, the better one if it has two.
_OWN_SHELL: Final = ("sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash; exec sh")
#: Run beside the shell, as its user: hangs up on every process whose environment has a line like the first expression
#: and none like the second, and kills those that stay.
_SWEEP: Final = """
sweep() {
    found=
    for place in /proc/[0-9]*; do
        lines=$(tr '\\0' '\\n' <"$place/environ") || continue
        if printf '%s\\n' "$lines" | grep -q "$1" && ! printf '%s\\n' "$lines" | grep -q "$2"; then
            found=1
            kill "-$3" "${place#/proc/}"
        fi
    done
}
exec 2>/dev/null
sweep "$1" "$2" HUP
for moment in 1 2 3 4 5; do
    [ -n "$found" ] || exit 0
    sleep 0.2
    sweep "$1" "$2" CONT
done
sweep "$1" "$2" KILL
"""
_NOTHING: Final = "^$."


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long a shell may be open in all, and without anything typed or written; in seconds."""

    idle_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Clocked:
    """When a shell began, and when something was typed or written last; moments of a steady clock."""

    began: float
    last: float


@dataclass(frozen=True, slots=True)
class Run:
    """A process on a terminal: what it runs, with what besides the container's own environment, how large it is."""

    command: tuple[str, ...]
    variables: Mapping[str, str]
    cols: int
    rows: int


def run_of(order: ShellStart, mark: str) -> Run:
    """What an operator's order runs."""
    return Run(order.command or _OWN_SHELL, {"TERM": order.term, MARK: mark}, order.cols, order.rows)


def sweep(mark: str) -> tuple[str, ...]:
    """The command that ends every process with the mark. It does not carry the mark in its own environment."""
    return ("sh", "-c", _SWEEP, "sh", f"^{MARK}={mark}$", _NOTHING)


def sweep_others(prefix: str) -> tuple[str, ...]:
    """The command that ends every process with a mark that does not begin with the prefix."""
    return ("sh", "-c", _SWEEP, "sh", f"^{MARK}=", f"^{MARK}={prefix}")


def patience(bounds: Bounds, clocked: Clocked, now: float) -> float:
    """Seconds until `overdue` may have something to say."""
    return max(0.0, min(clocked.last + bounds.idle_seconds, clocked.began + bounds.seconds) - now)


def overdue(bounds: Bounds, clocked: Clocked, now: float) -> ShellEnd | None:
    """Why the shell is to be ended now."""
    if now >= clocked.began + bounds.seconds:
        text = f"it was open for {in_words(bounds.seconds)}, which is the longest that a shell may be"
        return ShellEnd(reason=ShellEndReason.TIME, text=text)
    if now >= clocked.last + bounds.idle_seconds:
        text = f"nothing was typed or written for {in_words(bounds.idle_seconds)}"
        return ShellEnd(reason=ShellEndReason.IDLE, text=text)
    return None


def in_words(seconds: float) -> str:
    """A length of time."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size and not seconds % size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} seconds"
