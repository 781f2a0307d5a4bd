"""Random keys, clicks and sizes on a console whose platform changes, is lost and comes back meanwhile.

.venv/bin/python -m tests.console.fuzz               # 10,000 keys
.venv/bin/python -m tests.console.fuzz 2000 7        # as many keys, another seed
"""

import asyncio
import random
import sys
from collections.abc import Sequence

from textual.pilot import OutOfBounds, Pilot

from console.app import ConsoleApp
from console.live.actions.registry import ACTIONS
from protocol.jobs import JobStatus
from tests.console.samples import NOW, ago, job
from tests.console.twin import Plane, SetClock

SIZES = ((60, 20), (80, 24), (120, 40), (40, 10), (200, 60))
#: Every key but those that leave the console.
KEYS: Sequence[str] = (
    *"0123456789abcdefghijklmnoprstuvwxyz",
    *"ABCDEFGHIJKLMNOPRSTUVWXYZ",
    *("up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "escape", "tab", "shift+tab"),
    *("space", "backspace", "delete", "slash", "colon", "question_mark", "asterisk", "minus", "plus", "comma"),
    *("full_stop", "less_than_sign", "greater_than_sign", "left_square_bracket", "right_square_bracket"),
    *("exclamation_mark", "left_parenthesis", "backslash", "ctrl+p", "ctrl+u", "ctrl+e", "ctrl+w", "f5", "f8"),
)
#: As often again: what opens, chooses, confirms and leaves.
OFTEN: Sequence[str] = ("enter", "escape", "down", "up", "y", "tab", *(action.key for action in ACTIONS if action.key))
_LEAVES = frozenset({"q", "Q"})
_AT_ONCE = 8
#: Keys of one console; then comes a new one, on a new platform.
_OF_ONE = 1000


def happen(plane: Plane, clock: SetClock, dice: random.Random) -> None:
    """Something at the platform."""
    clock.seconds += dice.random()
    jobs = plane.state.jobs
    match dice.randrange(12):
        case 0:
            plane.publish(job(f"{dice.randrange(10**8):08}-new", created=ago(dice.randrange(400)), updated_at=NOW))
        case 1 | 2 if jobs:
            old = dice.choice(jobs)
            plane.publish(old.model_copy(update={"status": dice.choice(list(JobStatus))}))
        case 3 if len(jobs) > 4:
            plane.gone(dice.choice(jobs).id)
        case 4:
            plane.beat(1)
        case 5:
            plane.reset()
        case 6:
            plane.lose()
        case _:
            plane.down = False


async def press(pilot: Pilot[None], dice: random.Random, count: int) -> list[str]:
    """Some keys, or a click, or another size of the terminal; what it was."""
    kind = dice.randrange(20)
    if kind == 0:
        size = dice.choice(SIZES)
        await pilot.resize_terminal(*size)
        return [f"{size}"]
    if kind == 1:
        size = pilot.app.size
        at = (dice.randrange(size.width), dice.randrange(size.height))
        try:
            await pilot.click(offset=at)
        except OutOfBounds:
            return []
        return [f"click {at}"]
    keys = [
        key for key in (dice.choice(OFTEN if dice.random() < 0.4 else KEYS) for _ in range(count)) if key not in _LEAVES
    ]
    await pilot.press(*keys)
    return keys


def console(plane: Plane, clock: SetClock) -> ConsoleApp:
    """To be made before the loop runs."""
    plane.furnish()
    return ConsoleApp(plane, "here", clock)


async def fuzz(app: ConsoleApp, plane: Plane, clock: SetClock, keys: int, seed: int) -> int:
    """So many keys; how many were pressed. Raises what the console raised, with what led to it."""
    dice, pressed, last = random.Random(seed), 0, list[str]()
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await plane.watched.wait()
            while pressed < keys:
                done = await press(pilot, dice, dice.randrange(1, _AT_ONCE))
                pressed += len(done)
                last = [*last, *done][-60:]
                happen(plane, clock, dice)
                if not app.is_running:
                    raise AssertionError("the console has ended")
    except BaseException as problem:
        problem.add_note(f"seed {seed}, after {pressed} keys, the last: {' '.join(last)}")
        raise
    return pressed


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    many, number = (given + [10_000, 1][len(given) :])[:2]
    for turn in range(-(-many // _OF_ONE)):
        twin, standing = Plane(), SetClock()
        made = console(twin, standing)
        asyncio.run(fuzz(made, twin, standing, min(_OF_ONE, many), number + turn))
        sys.stdout.write(f"{min(many, (turn + 1) * _OF_ONE)} keys, no exception\n")
        sys.stdout.flush()
