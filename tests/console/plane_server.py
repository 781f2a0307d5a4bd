"""The real control plane over a database in memory, on a free port, with a platform folder that points at it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from pydantic import SecretStr

from daemons.deploy.app import open_app
from daemons.deploy.settings import DeploySettings
from protocol import headers
from protocol.client.node import NodeClient
from protocol.client.operator import NoApi, OperatorClient
from protocol.client.runner import RunnerClient
from protocol.client.transport import Transport
from protocol.errors import JobReason
from protocol.jobs import (
    ClaimJob,
    CreateJob,
    JobPayload,
    JobPhase,
    JobStatus,
    JobType,
    RenewLease,
    ReportJob,
    StageOutcome,
    StageReport,
)
from protocol.nodes import NodeHeartbeat
from tests.support.served_api import ADMIN as API_TOKEN

TOKEN = "a-token-for-operators-in-tests"
_RUNNER = "a-token-for-runners-in-tests"
_NODE = "a-token-for-nodes-in-tests"
_OTHER = "another-token-for-tests-only"
AGENT = "a-token-for-agents-in-tests"


@dataclass(frozen=True)
class Served:
    """A control plane that listens."""

    url: str
    folder: Path
    stop: Callable[[], None]
    api_url: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """What the console needs to find it."""
        own = {f"XDG_{kind}_HOME": str(self.folder / kind.lower()) for kind in ("CONFIG", "STATE")}
        api = {"FUNAI_API_URL": self.api_url, "API_ADMIN_TOKEN": API_TOKEN} if self.api_url else {}
        return {"FUNAI_DATA_DIR": str(self.folder), **own, **api}

    def admin(self) -> OperatorClient:
        return OperatorClient(Transport(self.url, {headers.ADMIN_TOKEN: TOKEN}), _no_api)

    def way_of_api(self) -> Transport:
        return Transport(self.url, {headers.DEPLOY_SECRET: _OTHER})

    def runner(self) -> RunnerClient:
        return RunnerClient(Transport(self.url, {headers.RUNNER_TOKEN: _RUNNER}))

    def node(self) -> NodeClient:
        return NodeClient(Transport(self.url, {headers.NODE_TOKEN: _NODE}))


def _no_api() -> Transport:
    raise NoApi("the API entry's address is not known: set FUNAI_API_URL, or api-url of the context")


def settings(database: str, **more: object) -> DeploySettings:
    ours = {
        "port": 0,
        "db_url": SecretStr(database),
        "admin_tokens": (SecretStr(TOKEN),),
        "api_tokens": (SecretStr(_OTHER),),
        "runner_tokens": (SecretStr(_RUNNER),),
        "node_token": (SecretStr(_NODE),),
        "agent_token": (SecretStr(AGENT),),
    }
    return DeploySettings.model_validate({**ours, **more})


@contextmanager
def served(folder: Path, database: str = "sqlite:///:memory:", **more: object) -> Iterator[Served]:
    """The control plane in a thread of its own, so that blocking tests can drive it."""
    loop = asyncio.new_event_loop()
    started: list[str] = []
    ready = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(await open_app(settings(database, **more)))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        started.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        await stop.wait()
        await runner.cleanup()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="plane", daemon=True)
    thread.start()
    if not ready.wait(90):
        raise AssertionError("the control plane did not start")
    (folder / "platform.json").write_text(json.dumps({"deploy": started[0]}))
    (folder / "credentials.env").write_text(f"DEPLOY_ADMIN_TOKEN={TOKEN}\n")
    (folder / "credentials.env").chmod(0o600)

    def end() -> None:
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)

    try:
        yield Served(started[0], folder, end)
    finally:
        end()


def payload(app: str) -> JobPayload:
    repo = f"ssh://git@127.0.0.1:2222/funai/u1-app{app}.git"
    return JobPayload(user_id="1", app_id=app, git_ref="main", repo_ssh_url=repo)


async def seed(plane: Served) -> dict[str, str]:
    """Three nodes, a running job with a log, a failed one and a pending one; their ids by app."""
    admin, runner, node = plane.admin(), plane.runner(), plane.node()
    async with admin.transport, runner.transport, node.transport:
        for number, free in enumerate((71.0, 18.0, 9.0), start=1):
            await node.heartbeat(
                NodeHeartbeat(
                    node_name=f"rt-node-0{number}",
                    agent_base_url=f"http://127.0.0.1:{7100 + number}",
                    gateway_base_url=f"http://127.0.0.1:{7200 + number}",
                    disk_free_pct=free,
                    disk_free_bytes=int(free * 2e9),
                    disk_total_bytes=int(2e11),
                    container_count=3,
                )
            )
        for app in ("20001", "20002"):
            await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload(app)))
        first = await runner.claim(ClaimJob(runner_id="build-a", lease_seconds=600, slots=2))
        second = await runner.claim(ClaimJob(runner_id="build-b", lease_seconds=600, slots=2))
        assert first is not None and second is not None
        third = await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload("20003")))
        progress = RenewLease(
            runner_id="build-a",
            lease_token=first.lease_token,
            extend_seconds=600,
            phase="BUILD",
            phase_message="step 3",
        )
        await runner.renew(first.id, progress)
        await runner.upload_log(first.id, "build-a", first.lease_token, offset=0, data=b"\x1b[32mcloning\x1b[0m\n")
        failed = ReportJob(
            runner_id="build-b",
            lease_token=second.lease_token,
            status=JobStatus.FAILED,
            reason=JobReason.BUILD_FAILED,
            error_message="npm ci ended with exit code 1",
            stages=(
                StageReport(
                    phase=JobPhase.CLONE,
                    outcome=StageOutcome.DONE,
                    started_ms=10,
                    ended_ms=710,
                    bytes=52_481,
                    commit="0123456789ab" + "0" * 28,
                ),
                StageReport(phase=JobPhase.BUILD, outcome=StageOutcome.FAILED, started_ms=720, ended_ms=2_220),
            ),
        )
        await runner.report(second.id, failed)
        return {first.app_id: first.id, second.app_id: second.id, third.app_id: third.id}
