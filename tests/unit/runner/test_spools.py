"""Logs of ended attempts: kept, delivered by offset, given up; on the disk and in the twin's memory."""

import asyncio
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kit.clock import SystemClock
from daemons.runner.adapters.spools import DiskSpools
from daemons.runner.domain.leftovers import Keeping, Leftover, given_up
from daemons.runner.domain.plan import Attempt
from daemons.runner.ports import NoFolder
from daemons.runner.services.leftovers import Leftovers, Round
from tests.unit.runner.twins import JOB_ID, FakePacer, MemoryControlPlane, MemorySpools, claimed, turns_until

ATTEMPT = Attempt(JOB_ID, 1, "a-lease-token", 30)
KILLED = b"\n[stopped] the runner was ended here, in the middle of its work\n"
Make = Callable[[], DiskSpools | MemorySpools]


@pytest.fixture(params=["disk", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes the spools of a runner; of the next one in the same folder when it is called again."""
    memory = MemorySpools()

    def on_disk() -> DiskSpools:
        return DiskSpools(tmp_path / "logs", "r1", SystemClock())

    def in_memory() -> MemorySpools:
        memory.kill()
        return memory

    return on_disk if request.param == "disk" else in_memory


async def content(spools: DiskSpools | MemorySpools) -> list[bytes]:
    return [await spools.read(left, 0, 10**6) for left in await spools.left()]


async def test_a_log_is_left_when_its_attempt_ended_and_gone_when_it_was_delivered(make: Make) -> None:
    spools = make()
    async with spools.opened(ATTEMPT) as spool:
        assert await spool.append(b"abc") == 3
        assert await spool.append(b"def") == 6
        assert await spool.read(2, 3) == b"cde"
        assert await content(spools) == [], "it is in use"
        await spool.finish()
        assert not spools.news.is_set()
    assert spools.news.is_set()
    (left,) = await spools.left()
    assert (left.attempt, left.length) == (replace(ATTEMPT, runner_id="r1"), 6)
    assert await spools.read(left, 2, 3) == b"cde"
    await spools.remove(left)
    async with spools.opened(ATTEMPT) as spool:
        await spool.append(b"x")
        spool.delivered = True
    assert await spools.left() == []


async def test_the_log_of_a_killed_runner_is_found_by_the_next_and_says_where_it_ends(make: Make) -> None:
    killed = make()
    context = killed.opened(ATTEMPT)
    spool = await context.__aenter__()
    await spool.append(b"half a li")
    again = make()
    for _ in range(2):
        assert await content(again) == [b"half a li" + KILLED], "the last line is written once"
    (left,) = await again.left()
    assert left.attempt == replace(ATTEMPT, runner_id="r1")
    await again.remove(left)


async def test_the_same_attempt_under_another_lease_has_a_log_of_its_own(make: Make) -> None:
    spools = make()
    for token in ("one", "two"):
        async with spools.opened(replace(ATTEMPT, lease_token=token)) as spool:
            await spool.append(token.encode())
            await spool.finish()
    assert sorted(await content(spools)) == [b"one", b"two"]


async def test_files_are_for_the_runners_account_alone_and_what_is_nobodys_goes(tmp_path: Path) -> None:
    root = tmp_path / "logs"
    spools = DiskSpools(root, "r1", SystemClock())
    async with spools.opened(ATTEMPT) as spool:
        await spool.append(b"x")
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()} == {0o600}
    owner = next(root.glob("*.json"))
    assert json.loads(owner.read_text())["leaseToken"] == "a-lease-token"
    owner.write_text('{"jobId": 7}')
    (root / "other.json").write_bytes(owner.read_bytes())
    (root / "third.new").write_bytes(b"half of")
    assert await spools.left() == []
    assert list(root.iterdir()) == []


async def test_a_log_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NoFolder, match="cannot be made"):
        async with DiskSpools(tmp_path / "file", "r1", SystemClock()).opened(ATTEMPT):
            raise AssertionError("it was opened")


async def test_a_log_that_begins_while_others_are_looked_for_is_not_taken_for_a_killed_runners(tmp_path: Path) -> None:
    spools, looking = DiskSpools(tmp_path / "logs", "r1", SystemClock()), True

    async def look() -> None:
        while looking:
            assert await spools.left() == []

    async with asyncio.TaskGroup() as group:
        lookers = [group.create_task(look()) for _ in range(3)]
        for number in range(1, 301):
            async with spools.opened(replace(ATTEMPT, number=number)) as spool:
                assert await spool.append(b"x") == 1
                spool.delivered = True
        looking = False
        await asyncio.gather(*lookers)


def desk() -> tuple[MemorySpools, MemoryControlPlane, Leftovers]:
    spools, control = MemorySpools(), MemoryControlPlane(claimed())
    return spools, control, Leftovers(spools, control, FakePacer(), Keeping())


async def ended(spools: MemorySpools, data: bytes) -> None:
    async with spools.opened(ATTEMPT) as spool:
        await spool.append(data)
        await spool.finish()


async def test_only_what_is_missing_is_sent_and_then_the_log_is_removed() -> None:
    spools, control, leftovers = desk()
    data = os.urandom(700_000)
    control.logs[JOB_ID][:] = data[:300_001]
    await ended(spools, data)
    assert await leftovers.round() is Round.DONE
    assert bytes(control.logs[JOB_ID]) == data and control.ends == [700_000]
    assert control.sent == 700_000 - 300_001
    assert await spools.left() == []


async def test_a_log_is_kept_while_the_control_plane_is_away_or_another_attempt_writes() -> None:
    spools, control, leftovers = desk()
    await ended(spools, b"the log\n")
    control.down = True
    assert await leftovers.round() is Round.DOWN
    control.down, control.busy = False, True
    assert await leftovers.round() is Round.LATER
    control.busy = False
    assert await leftovers.round() is Round.DONE
    assert control.log() == "the log\n"


async def test_the_loop_delivers_after_an_outage_and_as_soon_as_an_attempt_ends() -> None:
    spools, control, leftovers = desk()
    control.down = True
    await ended(spools, b"the log\n")
    running = asyncio.create_task(leftovers.run())
    for _ in range(50):
        await asyncio.sleep(0)
    control.down = False
    await turns_until(lambda: control.log() == "the log\n")
    await ended(spools, b"the log\nand another\n")
    await turns_until(lambda: control.log() == "the log\nand another\n")
    running.cancel()


async def test_what_is_refused_or_kept_for_too_long_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    spools, control, leftovers = desk()
    await ended(spools, b"the log\n")
    control.refuses = True
    assert await leftovers.round() is Round.DONE
    assert await spools.left() == [] and "given up" in caplog.text
    await ended(spools, b"the log\n")
    control.refuses, control.down, spools.age = False, True, 24 * 3600 + 1
    assert await leftovers.round() is Round.DOWN
    assert await spools.left() == []


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), max_size=12))
def test_what_stays_is_the_youngest_and_within_bounds(found: list[tuple[int, int]]) -> None:
    lefts = [Leftover(str(n), ATTEMPT, size, float(age)) for n, (age, size) in enumerate(found)]
    gone = given_up(lefts, Keeping(seconds=60, bytes=100))
    stay = [each for each in lefts if each not in gone]
    assert sum(each.length for each in stay) <= 100 and all(each.age <= 60 for each in stay)
    assert [each.age for each in gone] == sorted((each.age for each in gone), reverse=True)
    for each in gone:
        younger = sum(other.length for other in lefts if other.age <= each.age)
        assert each.age > 60 or younger > 100
