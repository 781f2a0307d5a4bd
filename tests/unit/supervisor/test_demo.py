"""The demo app comes up by the steps of a user, and only when its page does not answer."""

import pytest

from daemons.supervisor.ports import DemoApp
from daemons.supervisor.services.demo import Demo, DemoFailed
from tests.unit.supervisor.twins import MemoryTicker


class World:
    """API, repository and page of one app, in memory."""

    def __init__(self, *outcomes: tuple[str, str | None], served: bool = False, serves_after: bool = True) -> None:
        self.steps: list[str] = []
        self._outcomes = list(outcomes)
        self._served = served
        self._serves_after = serves_after

    async def ensure_app(self) -> DemoApp:
        return DemoApp("20001", "ssh://git@127.0.0.1:2222/funai/u1-app20001.git")

    async def register_key(self, public_key: str) -> None:
        self.steps.append(f"key {public_key}")

    async def deploy(self, app_id: str) -> str:
        self.steps.append(f"deploy {app_id}")
        return "7"

    async def outcome(self, job_id: str) -> tuple[str, str | None]:
        found = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        self._served = self._serves_after and found[0] == "SUCCEEDED"
        return found

    async def push(self, app: DemoApp) -> None:
        self.steps.append(f"push {app.repository}")

    async def answers(self, app_id: str) -> bool:
        return self._served


def demo(world: World) -> Demo:
    return Demo(api=world, repository=world, page=world, ticker=MemoryTicker(), public_key=lambda: "ssh-ed25519 AAAA")


async def test_the_first_start_pushes_deploys_and_sees_the_page() -> None:
    world = World(("PENDING", "no runner yet"), ("RUNNING", None), ("SUCCEEDED", None))
    assert await demo(world).bring_up() == "20001"
    assert world.steps == [
        "key ssh-ed25519 AAAA",
        "push ssh://git@127.0.0.1:2222/funai/u1-app20001.git",
        "deploy 20001",
    ]


async def test_a_page_that_answers_is_left_alone() -> None:
    world = World(("SUCCEEDED", None), served=True)
    assert await demo(world).bring_up() == "20001"
    assert world.steps == []


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
async def test_a_failed_job_is_told_with_its_reason(status: str) -> None:
    with pytest.raises(DemoFailed, match=f"job 7 of the demo app is {status}: the build failed"):
        await demo(World((status, "the build failed"))).bring_up()


async def test_a_job_that_never_ends_is_given_up() -> None:
    with pytest.raises(DemoFailed, match="did not end"):
        await demo(World(("RUNNING", None))).bring_up()


async def test_success_without_a_page_is_no_success() -> None:
    with pytest.raises(DemoFailed, match="does not serve /runtime/20001/"):
        await demo(World(("SUCCEEDED", None), serves_after=False)).bring_up()
