"""How long shells may be open, and how they are found again."""

import secrets
import subprocess

import pytest

from daemons.agent.domain.shell import MARK, Bounds, Clocked, in_words, overdue, patience, run_of, sweep, sweep_others
from protocol.shell import ShellEndReason, ShellStart

_BOUNDS = Bounds(idle_seconds=900, seconds=14400)


@pytest.mark.parametrize(
    ("clocked", "now", "reason", "waits"),
    [
        (Clocked(0, 0), 899.0, None, 1.0),
        (Clocked(0, 0), 900.0, ShellEndReason.IDLE, 0.0),
        (Clocked(0, 13600), 14399.0, None, 1.0),
        (Clocked(0, 14390), 14400.0, ShellEndReason.TIME, 0.0),
    ],
)
def test_the_time_of_a_shell(clocked: Clocked, now: float, reason: ShellEndReason | None, waits: float) -> None:
    end = overdue(_BOUNDS, clocked, now)
    assert (end.reason if end else None) is reason
    assert patience(_BOUNDS, clocked, now) == waits


def test_times_are_told_in_words() -> None:
    assert [in_words(each) for each in (14400, 900, 60, 0.5)] == ["4 hours", "15 minutes", "60 seconds", "0.5 seconds"]


def test_a_shell_runs_what_was_asked_for_or_the_images_own() -> None:
    assert run_of(ShellStart(command=("ls", "-l"), term="screen"), "m").command == ("ls", "-l")
    own = run_of(ShellStart(), "m")
    assert own.command[0] == "sh" and own.variables == {"TERM": "xterm", MARK: "m"}


def test_sweeping_ends_what_has_the_mark_and_nothing_else() -> None:
    def sleeper(mark: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["/bin/sleep", "60"], env={MARK: mark})

    own = secrets.token_hex(4)
    ours, alike, other = sleeper(f"{own}-1"), sleeper(f"{own}-11"), sleeper("other-1")
    try:
        subprocess.run(sweep(f"{own}-1"), check=True, timeout=120)
        assert ours.wait(90) < 0
        assert (alike.poll(), other.poll()) == (None, None)
        *_, like, but = sweep_others("own-")
        assert (like, but) == (f"^{MARK}=", f"^{MARK}=own-")
    finally:
        for each in (ours, alike, other):
            each.kill()
            each.wait(90)
