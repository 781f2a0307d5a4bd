"""The cursor is never on another object, and an action never meant for one that is not shown, whatever happens."""

from tests.unit.console.machine import run


def test_the_cursor_and_the_marks_follow_their_objects() -> None:
    run(rows=120, batches=1500)
