"""A runner reports what went live only once it has lived through its watch window."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from daemons.runner.adapters.app_host import HttpAppHost
from daemons.runner.domain.failures import WorkFailed
from protocol.apps import AppStatus, DeployApp, DeployedApp, RunCondition
from tests.unit.runner.twins import FakePacer

TOKEN = "an-agent-token-for-tests"
ORDER = DeployApp(user_id="1", app_id="20001", image="busybox:1.36", fence=7)
WATCHED = AppStatus(
    app_id="20001", container_name="c", exists=True, running=True, fence=7, condition=RunCondition.WATCHED
)


@dataclass
class Agent:
    """Answers each question about the app with the next of these; None is a failure of its own."""

    url: str = ""
    says: list[AppStatus | None] = field(default_factory=list)
    asked: int = 0

    async def deploy(self, _request: web.Request) -> web.Response:
        return web.Response(body=DeployedApp(app_id="20001", container_name="c", watch_seconds=10).to_json())

    async def status(self, _request: web.Request) -> web.Response:
        self.asked += 1
        status = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        return web.Response(status=500) if status is None else web.Response(body=status.to_json())


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    playing = Agent()
    app = web.Application()
    app.router.add_post("/agent/apps/deploy", playing.deploy)
    app.router.add_get("/agent/apps/status", playing.status)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    playing.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield playing
    await runner.cleanup()


@pytest.mark.parametrize(
    "after",
    [
        WATCHED.model_copy(update={"condition": RunCondition.RUNNING}),
        WATCHED.model_copy(update={"fence": 8}),
        # An earlier attempt's failure is not this one's.
        WATCHED.model_copy(update={"condition": RunCondition.RUNNING, "failed_fence": 6}),
    ],
)
async def test_what_lives_is_reported_after_its_window(agent: Agent, after: AppStatus) -> None:
    agent.says = [WATCHED, None, WATCHED, after]
    await HttpAppHost(TOKEN, FakePacer()).deploy(agent.url, ORDER)
    assert agent.asked == 4


async def test_what_was_taken_back_fails_the_job_with_the_reason(agent: Agent) -> None:
    failed = {"fence": 6, "failed_fence": 7, "failed_reason": "it exited with code 4", "back_to": 6}
    agent.says = [WATCHED, WATCHED.model_copy(update=failed)]
    with pytest.raises(WorkFailed, match="exited with code 4; attempt 6 serves again"):
        await HttpAppHost(TOKEN, FakePacer()).deploy(agent.url, ORDER)


async def test_an_agent_that_falls_silent_makes_no_failure_of_a_live_app(agent: Agent) -> None:
    agent.says = [None]
    pacer = FakePacer()
    began = pacer.now()
    await HttpAppHost(TOKEN, pacer).deploy(agent.url, ORDER)
    assert 10 <= pacer.now() - began <= 30
