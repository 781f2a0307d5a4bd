"""The whole path, walked once as a user and an operator would: push, deploy, look, change under load, cancel, list."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from console.cli.projects import PROJECTS, no_base_image
from console.cli.visitors import crowd, look
from console.cli.working_copy import WorkingCopy
from console.live.words import tn
from console.settings import OwnerSettings
from protocol.api import AddGitKey, AppInfo, CreateApp
from protocol.client.api import ApiClient
from protocol.client.deploy import AdminClient
from protocol.jobs import JobPhase, JobStatus, JobView
from protocol.nodes import NodeHealth, RunnerHealth

APP_NAME: Final = "Smoke check"
CONNECTIONS: Final = 16
_JOB_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.1
_AFTER_SECONDS: Final = 1.0
_DOCKERFILE: Final = """FROM busybox:1.36
COPY index.html /www/
{build}CMD ["httpd", "-f", "-p", "3000", "-h", "/www"]
"""
_SLOW_BUILD: Final = "RUN sleep 120\n"


class Broken(Exception):
    """A step did not hold; `look_at` says where to look further."""

    def __init__(self, message: str, look_at: str) -> None:
        super().__init__(message)
        self.look_at = look_at


class Skipped(Exception):
    """A step could not be walked, through no fault of the platform's; the text says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that held: what it found, and how long it took."""

    name: str
    seconds: float
    found: str


class Walk:
    """The steps in order; each returns what it found in one line or raises Broken, ClientError or GitFailed."""

    def __init__(self, *, admin: AdminClient, api: ApiClient, owner: OwnerSettings, folder: Path) -> None:
        self._admin = admin
        self._api = api
        self._owner = owner
        self._folder = folder
        self._run = secrets.token_hex(4)
        self._app: AppInfo | None = None
        self._jobs: list[str] = []

    def steps(self) -> tuple[tuple[str, Callable[[], Awaitable[str]]], ...]:
        """Name and work of each step."""
        return (
            ("platform is ready", self.ready),
            ("app of the demo user", self.app),
            ("push over SSH", self.push),
            ("deploy and follow the log", self.deploy),
            ("page shows the commit", self.page),
            ("redeploy under load", self.redeploy),
            ("cancel a running build", self.cancel),
            *((f"template {name}", self._template(name)) for name in PROJECTS),
            ("jobs, nodes, runners", self.lists),
        )

    async def ready(self) -> str:
        """Deploy and API are ready, a node takes apps, a runner is there."""
        await self._admin.ready()
        await self._api.ready()
        nodes = [node.name for node in await self._admin.nodes() if node.health is NodeHealth.HEALTHY]
        runners = [runner.runner_id for runner in await self._admin.runners() if runner.health is RunnerHealth.HEALTHY]
        if not nodes or not runners:
            what = "no runtime node is HEALTHY" if not nodes else "no runner is HEALTHY"
            raise Broken(what, "funai nodes; funai runners; logs/agent.log and logs/runner.log in the data folder")
        return f"nodes {', '.join(nodes)}; runners {', '.join(runners)}"

    async def app(self) -> str:
        """The check's own app, made on the first run; what an interrupted run left under way is cancelled."""
        found = [app for app in await self._api.apps() if app.app_name == APP_NAME]
        self._app = found[0] if found else await self._api.create_app(CreateApp(app_name=APP_NAME))
        for job in await self._api.history(str(self._app.id), limit=5):
            if not job.status.terminal:
                await self._api.cancel(job.id)
        public_key = await asyncio.to_thread(self._owner.key.with_name(f"{self._owner.key.name}.pub").read_text)
        if not any(public_key.split()[1] in key.public_key for key in await self._api.keys()):
            await self._api.add_key(AddGitKey(title="demo", public_key=public_key.strip()))
        return f"app {self._app.id}"

    async def push(self) -> str:
        """The first version."""
        return f"commit {(await self._push('first'))[:12]}"

    async def deploy(self) -> str:
        """Queue it, read its log to the end, see it succeed."""
        job = await self._start()
        size = 0
        async for chunk in self._admin.log(job.id, follow=True):
            size += len(chunk)
        await self._ended(job.id, JobStatus.SUCCEEDED)
        if not size:
            raise Broken(f"job {job.id} succeeded without a log", f"funai logs {job.id}")
        return f"job {job.id[:8]} SUCCEEDED, {size} bytes of log"

    async def page(self) -> str:
        """The gateway serves what was pushed."""
        await self._shows("first")
        return self._url()

    async def redeploy(self) -> str:
        """A change goes live while a crowd visits, and no visitor notices."""
        await self._push("second")
        async with crowd(self._url(), CONNECTIONS) as tally:
            job = await self._start()
            await self._ended(job.id, JobStatus.SUCCEEDED)
            await asyncio.sleep(_AFTER_SECONDS)
        if tally.failures:
            raise Broken(
                f"{tally.failures.total()} of {tally.requests} requests failed: {tally.problems()}",
                "logs/gateway.log and logs/agent.log in the data folder",
            )
        await self._shows("second")
        for version in ("first", "second"):
            if not any(self._text(version) in page for page in tally.seen):
                raise Broken(f"no visitor saw the {version} version", "logs/agent.log in the data folder")
        return f"{tally.requests} requests on {CONNECTIONS} keep-alive connections, 0 failed"

    async def cancel(self) -> str:
        """A build that is cancelled never goes live; what ran before still runs."""
        await self._push("third", build=_SLOW_BUILD)
        job = await self._start()
        await self._until(job.id, lambda now: now.status.terminal or now.payload.phase == JobPhase.BUILD)
        cancelled = time.monotonic()
        await self._api.cancel(job.id)
        await self._ended(job.id, JobStatus.CANCELLED)
        seconds = time.monotonic() - cancelled
        await asyncio.sleep(_AFTER_SECONDS)
        await self._shows("second")
        return f"job {job.id[:8]} CANCELLED after {seconds:.2f} s, the second version still serves"

    async def lists(self) -> str:
        """Operators see the jobs of this walk, its node and its placement."""
        snapshot = await self._admin.snapshot()
        missing = set(self._jobs) - {job.id for job in snapshot.jobs}
        placed = {placement.app_id for placement in snapshot.placements}
        if missing or self._app_id() not in placed:
            raise Broken("the snapshot lacks a job or the placement of this walk", "funai jobs; funai placements")
        counts = (
            tn("{count} job", "{count} jobs", len(snapshot.jobs)),
            tn("{count} node", "{count} nodes", len(snapshot.nodes)),
            tn("{count} runner", "{count} runners", len(snapshot.runners)),
        )
        return ", ".join(counts)

    def _template(self, name: str) -> Callable[[], Awaitable[str]]:
        """A project without a Dockerfile is built from the template that fits it, and serves."""

        async def step() -> str:
            version = f"{name} template's"
            await self._commit(f"Say it with {name}", PROJECTS[name](self._text(version)))
            job = await self._start()
            ended = await self._until(job.id, lambda now: now.status.terminal)
            if ended.status is JobStatus.FAILED and (why := no_base_image(ended.error_message or "")):
                raise Skipped(f"its base image is not to be had: {why}")
            await self._ended(job.id, JobStatus.SUCCEEDED)
            log = b"".join([chunk async for chunk in self._admin.log(job.id)])
            if f"the template {name} is used".encode() not in log:
                raise Broken(f"the log of job {job.id} does not name the template {name}", f"funai logs {job.id}")
            await self._shows(version)
            return f"job {job.id[:8]} SUCCEEDED and its page is served"

        return step

    async def _push(self, version: str, *, build: str = "") -> str:
        page = {"index.html": f"<h1>{self._text(version)}</h1>\n"}
        return await self._commit(f"Say {version}", {"Dockerfile": _DOCKERFILE.format(build=build)} | page)

    async def _commit(self, message: str, files: dict[str, str]) -> str:
        """Push these files and nothing else."""
        app = self._known_app()
        copy = WorkingCopy(
            self._folder, remote=app.repo_ssh_url, key=self._owner.key, known_hosts=self._owner.known_hosts
        )
        return await copy.push(files, message)

    async def _start(self) -> JobView:
        job = await self._api.deploy(self._app_id())
        self._jobs.append(job.id)
        return job

    async def _ended(self, job_id: str, expected: JobStatus) -> None:
        job = await self._until(job_id, lambda now: now.status.terminal)
        if job.status is not expected:
            why = ": ".join(part for part in (job.reason, job.error_message) if part)
            raise Broken(f"job {job_id} is {job.status.value}, not {expected.value} {why}", f"funai logs {job_id}")

    async def _until(self, job_id: str, holds: Callable[[JobView], bool]) -> JobView:
        deadline = time.monotonic() + _JOB_SECONDS
        while True:
            job = await self._api.job(job_id)
            if holds(job):
                return job
            if time.monotonic() > deadline:
                why = job.waiting_for.message if job.waiting_for else job.payload.phase_message or ""
                raise Broken(f"job {job_id} is still {job.status.value} {why}", f"funai logs {job_id}; funai jobs")
            await asyncio.sleep(_POLL_SECONDS)

    async def _shows(self, version: str) -> None:
        status, text = await look(self._url())
        if status != 200 or self._text(version) not in text:
            raise Broken(
                f"{self._url()} answers {status} without the {version} version's text: {text[:100]!r}",
                "logs/gateway.log and logs/agent.log in the data folder",
            )

    def _text(self, version: str) -> str:
        return f"{version} version of walk {self._run}"

    def _known_app(self) -> AppInfo:
        if self._app is None:
            raise Broken("there is no app yet", "the step before")
        return self._app

    def _app_id(self) -> str:
        return str(self._known_app().id)

    def _url(self) -> str:
        return f"{self._owner.gateway_url}/runtime/{self._app_id()}/"
