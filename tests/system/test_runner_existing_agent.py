"""Our runner and our control plane, as processes, with an agent that speaks exactly the existing contract."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiodocker
import httpx
import psutil
import pytest

from protocol.client.deploy import AdminClient
from protocol.client.node import NodeClient
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN, NODE_TOKEN
from protocol.jobs import CreateJob, JobPayload, JobStatus, JobType, JobView
from protocol.nodes import NodeHeartbeat
from tests.support import real
from tests.support.existing_agent import ExistingAgent, existing_agent
from tests.support.git_host import GitHost, git_host

pytestmark = [pytest.mark.real, pytest.mark.slow]

TOKENS = {
    name: f"{name.lower().replace('_', '-')}-for-tests"
    for name in (
        "DEPLOY_ADMIN_TOKEN",
        "DEPLOY_PROXY_AUTH_SHARED_SECRET",
        "DEPLOY_RUNNER_TOKEN",
        "DEPLOY_NODE_TOKEN",
        "RUNTIME_AGENT_TOKEN",
    )
}
NAMESPACE = f"runner-system-{uuid.uuid4().hex[:8]}"


@dataclass
class Platform:
    """A control plane, a runner, a git host, and the existing agent."""

    git: GitHost
    agent: ExistingAgent
    admin: AdminClient
    runner: subprocess.Popen[bytes]
    runner_port: int
    docker_url: str
    work: Path
    app_id: str = "20001"

    async def create(self, **payload: object) -> JobView:
        """Submit a job for the app, from the repository unless the payload says otherwise."""
        order = {"user_id": "1", "app_id": self.app_id, "git_ref": "main", **payload}
        if "image" not in payload:
            order["repo_ssh_url"] = self.git.url()
        return await self.admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=JobPayload(**order)))  # type: ignore[arg-type]

    async def when(self, job_id: str, condition: Callable[[JobView], bool]) -> JobView:
        """The job, as soon as the condition holds."""
        async with asyncio.timeout(60):
            while True:
                job = await self.admin.get(job_id)
                if condition(job):
                    return job
                await asyncio.sleep(0.05)

    async def ended(self, job_id: str) -> JobView:
        """The job, once it is over."""
        return await self.when(job_id, lambda job: job.status.terminal)

    async def log(self, job_id: str) -> str:
        """The job's log as it stands."""
        return b"".join([piece async for piece in self.admin.log(job_id)]).decode()

    def builds(self, mark: str) -> bool:
        """Whether a container runs a command with that mark."""
        argv = ["docker", "-H", self.docker_url, "ps", "--no-trunc", "--format", "{{.Command}}"]
        return mark in subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    with git_host(tmp_path_factory.mktemp("git"), "funai/u1-app20001") as host:
        yield host


@pytest.fixture
async def platform(git: GitHost, docker_url: str, tmp_path: Path) -> AsyncIterator[Platform]:
    deploy_port, runner_port = real.free_port(), real.free_port()
    base = f"http://127.0.0.1:{deploy_port}"
    env = {
        **os.environ,
        **TOKENS,
        "DEPLOY_PORT": str(deploy_port),
        "DEPLOY_DB_URL": f"sqlite:///{tmp_path}/deploy.db",
        "DEPLOY_BASE_URL": base,
        "RUNNER_PORT": str(runner_port),
        "RUNNER_WORKDIR": str(tmp_path / "work"),
        "POLL_SECONDS": "0.2",
        "GIT_SSH_KEY_PATH": str(git.bot_key),
        "GIT_KNOWN_HOSTS_PATH": str(git.known_hosts),
        "DOCKER_HOST": docker_url,
        "ACR_NAMESPACE": NAMESPACE,
    }
    async with AsyncExitStack() as stack:
        agent, agent_url = await stack.enter_async_context(existing_agent(TOKENS["RUNTIME_AGENT_TOKEN"]))
        stack.push_async_callback(_remove_images, docker_url)
        deploy = [sys.executable, "-m", "daemons.deploy"]
        stack.enter_context(real.process(deploy, tmp_path / "deploy.log", env=env))
        await asyncio.to_thread(real.wait_until, lambda: real.listening(deploy_port), "the control plane's start")
        node = await stack.enter_async_context(Transport(base, {NODE_TOKEN: TOKENS["DEPLOY_NODE_TOKEN"]}))
        await NodeClient(node).heartbeat(
            NodeHeartbeat(
                node_name="rt-1",
                agent_base_url=agent_url,
                gateway_base_url="http://gateway.example",
                disk_free_pct=90.0,
                disk_free_bytes=10**11,
                container_count=0,
            )
        )
        argv = [sys.executable, "-m", "daemons.runner"]
        runner = stack.enter_context(real.process(argv, tmp_path / "runner.log", env=env))
        await asyncio.to_thread(real.wait_until, lambda: real.listening(runner_port), "the runner's start")
        admin = await stack.enter_async_context(Transport(base, {ADMIN_TOKEN: TOKENS["DEPLOY_ADMIN_TOKEN"]}))
        yield Platform(git, agent, AdminClient(admin), runner, runner_port, docker_url, tmp_path / "work")


async def _remove_images(docker_url: str) -> None:
    async with aiodocker.Docker(url=docker_url) as docker:
        for image in await docker.images.list(filters={"reference": [f"{NAMESPACE}/*"]}):
            await docker.images.delete(image["Id"], force=True)


async def test_a_pushed_repository_is_built_and_deployed_by_an_existing_agent(platform: Platform) -> None:
    commit = platform.git.commit({"Dockerfile": "FROM busybox:1.36\nRUN echo hello-from-the-build\n"})
    platform.git.push("refs/heads/main")
    job = await platform.ended((await platform.create()).id)
    assert job.status is JobStatus.SUCCEEDED, job.error_message
    image = f"{NAMESPACE}/u1-app20001:{commit[:12]}-{job.fence}"
    (request,) = platform.agent.deployments
    expected = {"userId": "1", "appId": "20001", "image": image, "containerPort": 3000, "basePath": "/runtime/20001"}
    assert expected.items() <= request.items()
    assert (job.image, job.commit) == (image, commit)
    log = await platform.log(job.id)
    assert "hello-from-the-build" in log
    assert log.endswith("the app is live\n")
    assert job.log_length == len(log.encode())
    async with aiodocker.Docker(url=platform.docker_url) as docker:
        labels = (await docker.images.inspect(image))["Config"]["Labels"]
    assert labels["funai.managed"] == "1"
    assert not list(platform.work.glob("*/.attempt"))


async def test_with_a_registry_the_pushed_digest_is_deployed(platform: Platform, registry_host: str) -> None:
    platform.git.commit({"Dockerfile": "FROM busybox:1.36\nENV PUSHED=1\n"})
    platform.git.push("refs/heads/main")
    job = await platform.ended((await platform.create(acr_registry=registry_host)).id)
    assert job.status is JobStatus.SUCCEEDED, job.error_message
    assert job.image == f"{registry_host}/{NAMESPACE}/u1-app20001@{job.image_digest}"
    assert platform.agent.deployments[0]["image"] == job.image
    wanted = ["docker", "-H", platform.docker_url, "images", "-q", f"{registry_host}/{NAMESPACE}/*"]

    def tidy() -> bool:
        return not subprocess.run(wanted, capture_output=True, check=True).stdout

    await asyncio.to_thread(real.wait_until, tidy, "the end of what the runner does after its report")


async def test_a_ready_image_is_deployed_without_a_build(platform: Platform) -> None:
    job = await platform.ended((await platform.create(image="busybox:1.36")).id)
    assert job.status is JobStatus.SUCCEEDED, job.error_message
    assert platform.agent.deployments[0]["image"] == "busybox:1.36"
    figures = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{platform.runner_port}/metrics")
    assert 'funai_runner_jobs_total{result="SUCCEEDED"} 1.0' in figures.text
    ready = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{platform.runner_port}/internal/ready")
    assert ready.status_code == 200, ready.text
    assert psutil.Process(platform.runner.pid).memory_info().rss < 120 * 1024 * 1024


async def test_the_existing_agents_bare_500_is_passed_on(platform: Platform) -> None:
    platform.agent.fails = True
    job = await platform.ended((await platform.create(image="busybox:1.36")).id)
    assert (job.status, job.reason) == (JobStatus.FAILED, "deploy_failed")
    assert "500" in (job.error_message or "")
    assert "Internal Server Error" in (job.error_message or "")


async def test_a_failed_build_ends_the_job_with_its_reason_and_last_lines(platform: Platform) -> None:
    platform.git.commit({"Dockerfile": "FROM busybox:1.36\nRUN echo almost-there && exit 7\n"})
    platform.git.push("refs/heads/main")
    job = await platform.ended((await platform.create()).id)
    assert (job.status, job.reason) == (JobStatus.FAILED, "build_failed")
    for words in ("RUN echo almost-there", "(exit code 7)", "What to do:", "\nalmost-there"):
        assert words in (job.error_message or "")
    assert platform.agent.deployments == []


async def test_a_cancel_stops_the_build_and_frees_the_slot(platform: Platform) -> None:
    mark = f"sleep 77{uuid.uuid4().int % 10**6:06d}"
    platform.git.commit({"Dockerfile": f"FROM busybox:1.36\nRUN {mark}\n"})
    platform.git.push("refs/heads/main")
    created = await platform.create()
    await asyncio.to_thread(real.wait_until, lambda: platform.builds(mark), "the build container's start")
    cancelled = await platform.admin.cancel(created.id)
    assert cancelled.status is JobStatus.CANCELLED
    await asyncio.to_thread(real.wait_until, lambda: not platform.builds(mark), "the build container's end", 5)
    assert platform.agent.deployments == []
    after = await platform.ended((await platform.create(image="busybox:1.36")).id)
    assert after.status is JobStatus.SUCCEEDED
    assert (await platform.admin.get(created.id)).status is JobStatus.CANCELLED


async def test_a_runner_that_is_told_to_stop_finishes_its_job_first(platform: Platform) -> None:
    platform.agent.hold = asyncio.Event()
    created = await platform.create(image="busybox:1.36")
    await platform.when(created.id, lambda job: job.payload.phase == "DEPLOY")
    platform.runner.send_signal(signal.SIGTERM)
    platform.agent.hold.set()
    job = await platform.ended(created.id)
    assert job.status is JobStatus.SUCCEEDED, job.error_message
    assert await asyncio.to_thread(platform.runner.wait, 20) == 0


async def test_a_second_signal_hands_the_job_back_and_leaves_nothing_running(platform: Platform) -> None:
    mark = f"sleep 78{uuid.uuid4().int % 10**6:06d}"
    platform.git.commit({"Dockerfile": f"FROM busybox:1.36\nRUN {mark}\n"})
    platform.git.push("refs/heads/main")
    created = await platform.create()
    await asyncio.to_thread(real.wait_until, lambda: platform.builds(mark), "the build container's start")
    platform.runner.send_signal(signal.SIGTERM)
    await asyncio.to_thread(_idle_ended, platform)
    platform.runner.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(platform.runner.wait, 20) == 0
    await asyncio.to_thread(real.wait_until, lambda: not platform.builds(mark), "the build container's end", 5)
    job = await platform.admin.get(created.id)
    assert (job.status, job.returns) == (JobStatus.PENDING, 1)
    assert not list(platform.work.glob("*/.attempt"))


def _idle_ended(platform: Platform) -> None:
    log = platform.work.parent / "runner.log"
    real.wait_until(lambda: "no more claims" in log.read_text(), "the first signal's effect")
