"""A push over SSH is deployed: told by the git server, taken by the API, queued by the control plane; whoever of them
is away in between, there is one job for it in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.api import RepoStatus
from protocol.client.api import ApiClient
from protocol.jobs import JobStatus, JobView
from protocol.pushes import SetPushToDeploy
from tests.support.eventually import eventually
from tests.support.pushing import SECRETS, Pushing, pushing

pytestmark = pytest.mark.real


@pytest.fixture
def all_three(tmp_path: Path) -> Iterator[Pushing]:
    with pushing(tmp_path) as found:
        yield found


async def switched_on(world: Pushing, *branches: str) -> str:
    """The id of a new app whose pushes are deployed."""
    app_id = str((await world.app()).id)
    async with world.client() as transport:
        order = SetPushToDeploy(app_id=app_id, enabled=True, branches=branches or None)
        assert (await ApiClient(transport).set_push_to_deploy(order)).enabled
    return app_id


async def jobs(world: Pushing, app_id: str) -> list[JobView]:
    """Its jobs, oldest first."""
    async with world.client() as transport:
        return list(reversed(await ApiClient(transport).history(app_id)))


async def deployed(world: Pushing, app_id: str, commit: str) -> None:
    """Returns when there is a job for the commit."""

    async def there() -> bool:
        return commit in [job.payload.git_ref for job in await jobs(world, app_id)]

    await eventually(there)


async def test_a_push_is_deployed_and_only_to_a_branch_of_the_owners_choice(all_three: Pushing) -> None:
    world = all_three
    app_id = str((await world.app()).id)
    unwanted = world.commit()
    world.push()
    async with world.client() as transport:
        api = ApiClient(transport)

        async def ready() -> bool:
            return (await api.app(app_id)).repo_status is RepoStatus.READY

        await eventually(ready)
        assert (await api.push_to_deploy(app_id)).branches == ("main",)
        await api.set_push_to_deploy(SetPushToDeploy(app_id=app_id, enabled=True, branches=("main", "live")))
        first = world.commit()
        world.push("HEAD:refs/heads/other")
        world.push("HEAD:refs/tags/v1")
        world.push()
        await deployed(world, app_id, first)
        second = world.commit()
        world.push("HEAD:live")
        await deployed(world, app_id, second)
        world.push(":live")
        seen = await api.push_to_deploy(app_id)
        assert seen.last_push is not None
        assert (seen.last_push.branch, seen.last_push.commit, seen.last_push.reason) == ("live", second, None)
        found = await jobs(world, app_id)
        assert seen.last_push.job_id == found[-1].id
    assert [(job.payload.git_ref, job.status) for job in found] == [
        (first, JobStatus.CANCELLED),
        (second, JobStatus.PENDING),
    ], unwanted
    logs = "".join((world.folder / f"{name}.log").read_text() for name in ("git", "api", "deploy"))
    assert not [name for name, secret in SECRETS.items() if secret in logs]


@pytest.mark.parametrize("away", [("api",), ("deploy",), ("api", "deploy")])
async def test_a_push_is_deployed_once_whoever_was_away(all_three: Pushing, away: tuple[str, ...]) -> None:
    world = all_three
    app_id = await switched_on(world)
    world.kill(*away)
    commit = world.commit()
    world.push()
    world.start(*away)
    await deployed(world, app_id, commit)
    assert len(await jobs(world, app_id)) == 1


async def test_a_push_is_deployed_when_the_git_server_dies_before_it_is_told(all_three: Pushing) -> None:
    world = all_three
    app_id = await switched_on(world)
    world.kill("api")
    commit = world.commit()
    world.push()
    world.kill("git")
    world.start("git", "api")
    await deployed(world, app_id, commit)
    world.kill("git")
    world.start("git")
    last = world.commit()
    world.push()
    await deployed(world, app_id, last)
    assert [job.payload.git_ref for job in await jobs(world, app_id)] == [commit, last]
