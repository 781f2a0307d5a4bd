"""Defects of the existing control plane as schedules; `tests/architecture/test_known_defects.py` maps all of them."""

from collections.abc import Awaitable, Callable, Iterator

import pytest

from daemons.deploy.domain.jobs import Job
from tests.model.replicas import SqliteParts
from tests.model.requests import (
    CANCELLED,
    PENDING,
    RUNNING,
    SUCCEEDED,
    Answer,
    Claim,
    Create,
    Move,
    Renew,
    Report,
    Request,
)
from tests.model.world import World

Play = Callable[[Callable[[World], Awaitable[None]]], None]


@pytest.fixture
def play() -> Iterator[Play]:
    """Plays a schedule in a world of its own, in which all rules are checked, too."""
    parts = SqliteParts()

    def played(schedule: Callable[[World], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            world = World(parts, 0)
            await world.begin()
            await schedule(world)
            world.check()
            await world.end()

        parts.empty()
        parts.loop.run_until_complete(all_of_it())

    yield played
    parts.close()


async def answer(world: World, request: Request, replica: int = 0) -> Answer:
    call = world.ask(request, replica)
    found = await call.task
    world.check()
    return found


def newest(world: World, app_id: str) -> Job:
    return max((job for job in world.jobs() if job.app_id == app_id), key=lambda job: job.created_at)


@pytest.mark.parametrize("weather", range(30))
def test_a_heartbeat_never_brings_an_ended_job_back(play: Play, weather: int) -> None:
    async def schedule(world: World) -> None:
        await answer(world, Create("app0", "one"))
        held = await answer(world, Claim("r1", 2, 0))
        job_id, token = held.job_id or "", held.token
        world.network.weather(weather)
        world.trouble()
        requests: tuple[Request, ...] = (
            Renew(job_id, "r1", token, 5),
            Report(job_id, "r1", token, SUCCEEDED),
            Renew(job_id, "r1", token, 5),
            Move(job_id, CANCELLED),
        )
        for number, request in enumerate(requests):
            world.ask(request, number % 2)
        await world.step(None, 20)
        assert newest(world, "app0").status in (SUCCEEDED, CANCELLED)
        assert (await answer(world, Claim("r2", 2, 0))).word == "nothing"

    play(schedule)


def test_an_expired_attempt_is_still_the_apps_active_job(play: Play) -> None:
    async def schedule(world: World) -> None:
        await answer(world, Create("app0", "one"))
        first = await answer(world, Claim("r1", 2, 0))
        world.clock.set_by(3000)
        world.trouble()
        assert newest(world, "app0").status is RUNNING
        assert (await answer(world, Create("app0", "two"))).word == "busy"
        await world.step(None, 5)
        again = await answer(world, Claim("r2", 5, 0))
        assert again.job_id == first.job_id
        assert (await answer(world, Create("app0", "three"))).word == "busy"

    play(schedule)


def test_an_expired_job_is_not_starved_by_newer_ones(play: Play) -> None:
    async def schedule(world: World) -> None:
        await answer(world, Create("app0", "old"))
        first = await answer(world, Claim("r1", 2, 0))
        for number in range(1, 6):
            await answer(world, Create(f"app{number}", f"new-{number}"))
        await world.step(None, 8)
        assert newest(world, "app0").status is PENDING
        assert (await answer(world, Claim("r2", 30, 0))).job_id == first.job_id

    play(schedule)


def test_two_processes_with_one_runner_id_are_told_apart_by_their_leases(play: Play) -> None:
    async def schedule(world: World) -> None:
        await answer(world, Create("app0", "one"))
        first = await answer(world, Claim("r1", 2, 0))
        await world.step(None, 8)
        second = await answer(world, Claim("r1", 30, 0))
        job_id = first.job_id or ""
        assert second.job_id == job_id and second.token != first.token
        assert (await answer(world, Renew(job_id, "r1", first.token, 30))).word == "lease lost"
        assert (await answer(world, Report(job_id, "r1", first.token, SUCCEEDED))).word == "lease lost"
        assert (await answer(world, Report(job_id, "r1", None, SUCCEEDED))).word == "lease lost"
        assert (await answer(world, Report(job_id, "r1", second.token, SUCCEEDED))).word == "SUCCEEDED"

    play(schedule)
