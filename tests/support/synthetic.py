"""Many small jobs through real runners, which die again and again, while orders are cancelled and the registry is down.

Control plane, runners, git server, engine, buildah and registry are real and processes of their own; the node is real
but for its containers. What is done by chance comes of the seed.
"""

import asyncio
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from protocol.client.deploy import AdminClient
from protocol.client.transport import Refused, Transport
from protocol.headers import ADMIN_TOKEN
from protocol.jobs import CreateJob, JobPayload, JobStatus, JobType
from tests.support import leftovers, real, registries
from tests.support.eventually import eventually
from tests.support.git_host import GitHost, git_host
from tests.support.mortal_registry import MortalRegistry, mortal_registry
from tests.support.runtime_node import TOKEN
from tests.support.synthetic_book import Book, Story, Verdict, judge
from tests.support.watched_node import WatchedNode, digest_of, watched_node
from tests.support.whole_path import REPOSITORY, SECRETS, Runner

_WARNING: Final = re.compile(r"\[(?:warning|error) +\]")
#: Where a warning came from, and what is of one job alone.
_DETAIL: Final = re.compile(
    r"\[daemons\.[a-z_.]+\]|\b(?:job_id|app_id|attempt|service|component|trace)=\S+|[0-9a-f-]{32,}"
)
_ROOT: Final = Path(__file__).resolve().parents[2]
_BRANCHES: Final = 20
_READY: Final = 5
#: A build that was ended may take a minute to tidy up.
_SETTLE_SECONDS: Final = 90.0
#: The kernel ends what a killed runner had started; nothing here waits for a program's own goodwill.
_OUTLIVE_SECONDS: Final = 5.0
#: Of a build that tests beside this run make.
_LONGEST_BUILD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much, and how rough. Shares are of the jobs; seconds of mishaps are the mean between two."""

    jobs: int
    seed: int
    builders: tuple[str, ...] = ("engine", "engine", "buildah")
    slots: int = 3
    apps: int = 40
    at_once: int = 14
    lease_seconds: int = 20
    kill_seconds: float = 8.0
    outage_seconds: float = 60.0
    longest_outage: float = 5.0
    cancelled: float = 0.15
    ready_images: float = 0.2
    patience_seconds: float = 3600.0


@dataclass
class Synthetic:
    """One run."""

    scale: Scale
    folder: Path
    engine: str
    mark: str
    git: GitHost
    registry: MortalRegistry
    node: WatchedNode
    admin: AdminClient
    runners: Sequence[Runner]
    ready: Sequence[str]
    book: Book = field(default_factory=Book)
    ordered: list[str] = field(default_factory=list)
    kills: int = 0
    most_mib: float = 0.0
    problems: list[str] = field(default_factory=list)
    _calm: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry_out(self, progress: Callable[[str], None]) -> Verdict:
        """All jobs, from the first order to a machine at rest."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(work) for work in (self.book.follow(self.admin), self._tell(progress))]
            mishaps = [group.create_task(work) for work in (self._kill(), self._down())]
            await self._order(group)
            self._calm.set()
            await asyncio.gather(*mishaps)
            await self._until(self._all_ended, "the end of every job", self.scale.patience_seconds)
            await self._until(self._at_rest, "rest", _SETTLE_SECONDS)
            for task in beside:
                task.cancel()
        return await self._verdict()

    async def _order(self, group: asyncio.TaskGroup) -> None:
        chance = random.Random(f"{self.scale.seed} orders")
        for _ in range(self.scale.jobs):
            while len(self.book.active) >= self.scale.at_once:  # noqa: ASYNC110 - jobs end elsewhere
                await asyncio.sleep(0.02)
            idle = sorted({f"{self.mark}-{number}" for number in range(self.scale.apps)} - self.book.active)
            payload = self._payload(chance, chance.choice(idle))
            job = await self.admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
            self.ordered.append(job.id)
            self.book.stories.setdefault(job.id, Story(time.monotonic(), job.app_id))
            if chance.random() < self.scale.cancelled:
                group.create_task(self._cancel(job.id, chance.expovariate(1.0)))

    def _payload(self, chance: random.Random, app_id: str) -> JobPayload:
        if chance.random() < self.scale.ready_images:
            return JobPayload(user_id="7", app_id=app_id, image=chance.choice(self.ready))
        ref = f"branch-{chance.randrange(_BRANCHES)}"
        return JobPayload(user_id="7", app_id=app_id, repo_ssh_url=self.git.url(), git_ref=ref)

    async def _cancel(self, job_id: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            job = await self.admin.cancel(job_id)
        except Refused:
            return
        if job.status is JobStatus.CANCELLED:
            self.book.stories[job_id].cancelled_at = time.monotonic()

    async def _pause(self, seconds: float) -> bool:
        """Whether there is to be another mishap after that time."""
        try:
            async with asyncio.timeout(seconds):
                await self._calm.wait()
        except TimeoutError:
            return True
        return False

    async def _kill(self) -> None:
        chance = random.Random(f"{self.scale.seed} kills")
        while await self._pause(chance.uniform(0.5, 1.5) * self.scale.kill_seconds):
            runner = chance.choice(self.runners)
            held = self.book.held_by(runner.name)
            children = await asyncio.to_thread(psutil.Process(runner.pid).children, recursive=True)
            await asyncio.to_thread(runner.kill)
            self.kills += 1
            await self._note_outlived(runner, children)
            await asyncio.sleep(chance.uniform(0.1, 2.0))
            for job_id in held | self.book.held_by(runner.name):
                self.book.stories[job_id].kills += 1
            await asyncio.to_thread(runner.start)

    async def _note_outlived(self, runner: Runner, children: Sequence[psutil.Process]) -> None:
        until = time.monotonic() + _OUTLIVE_SECONDS
        left = [""]
        while left and time.monotonic() < until:
            left = await asyncio.to_thread(lambda: [*leftovers.outlived(children), *runner.tools()])
            await asyncio.sleep(0.05)
        self.problems += [f"{one} outlived {runner.name}, which was killed" for one in left]

    async def _down(self) -> None:
        chance = random.Random(f"{self.scale.seed} outages")
        while await self._pause(chance.uniform(0.5, 1.5) * self.scale.outage_seconds):
            await asyncio.to_thread(self.registry.kill)
            await asyncio.sleep(chance.uniform(1.0, self.scale.longest_outage))
            await asyncio.to_thread(self.registry.start)

    async def _tell(self, progress: Callable[[str], None]) -> None:
        told = time.monotonic()
        while True:
            self.most_mib = max([self.most_mib, *(_peak_mib(runner) for runner in self.runners)])
            if time.monotonic() - told >= 15:
                told = time.monotonic()
                progress(self.progress())
            await asyncio.sleep(0.25)

    def progress(self) -> str:
        """Where it is."""
        return (
            f"{len(self.ordered)} ordered, {sum(self.book.ended().values())} ended, {self.kills} kills, "
            f"{len(self.registry.outages)} outages, at most {self.most_mib:.0f} MiB in a runner"
        )

    async def _until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not await asyncio.to_thread(condition):
            if time.monotonic() > until:
                self.problems.append(f"{what} did not come within {seconds:g} s")
                return
            await asyncio.sleep(0.5)

    def _all_ended(self) -> bool:
        return all(self.book.stories[job_id].ended_at is not None for job_id in self.ordered)

    def _at_rest(self) -> bool:
        apps = {app_id for app_id in self.node.gateway.routes}
        settled = all(len(self.node.fence_live(app_id)) == 1 for app_id in apps)
        return settled and not self.left()

    def left(self) -> list[str]:
        """What the runners left on this machine, seen now."""
        found = [f"{runner.name}: {path}" for runner in self.runners for path in leftovers.of_work(runner.work)]
        found += [f"{runner.name}: {line}" for runner in self.runners for line in runner.tools()]
        found += leftovers.containers(self.engine, self.mark) + leftovers.images(self.engine, self.mark)
        return found + leftovers.mounts(self.folder)

    async def _verdict(self) -> Verdict:
        found = judge(self.book, self.ordered, self.node, self.registry)
        problems = [*self.problems, *found.problems, *(await asyncio.to_thread(self.left)), *(await self._not_pushed())]
        for status in (JobStatus.PENDING, JobStatus.RUNNING):
            problems += [f"job {job.id} is {status}" for job in (await self.admin.page(status=status)).items]
        unnamed = await asyncio.to_thread(leftovers.unnamed, self.engine, self.mark)
        told = [*found.told, self.progress(), f"{unnamed} unnamed layers of builds are in the engine"]
        return Verdict(problems, [*told, *self._warned()])

    def _warned(self) -> list[str]:
        """What the runners warned of, each once, with how often."""
        lines = [line for runner in self.runners for line in runner.said.splitlines() if _WARNING.search(line)]
        texts = Counter(" ".join(_DETAIL.sub("", _WARNING.split(line)[-1]).split())[:160] for line in lines)
        return [f"{count} x {text}" for text, count in texts.most_common(20)]

    async def _not_pushed(self) -> list[str]:
        """Images that are said to be deployed and that the registry does not have."""
        views = (story.view for story in self.book.stories.values())
        images = {view.image for view in views if view and view.status is JobStatus.SUCCEEDED and view.image}
        return [f"the registry has no {image}" for image in images if await digest_of(image) is None]


async def soak(scale: Scale, folder: Path, engine: str, progress: Callable[[str], None]) -> Verdict:
    """The whole run, with a last look after everything was stopped."""
    groups = leftovers.groups()
    async with synthetic(scale, folder, engine) as running:
        verdict = await running.carry_out(progress)
    left = [*leftovers.processes(folder), *leftovers.mounts(folder), *sorted(await _stay(leftovers.groups() - groups))]
    return Verdict([*verdict.problems, *left], verdict.told)


async def _stay(groups: set[str]) -> set[str]:
    """Those of these control groups that do not go away: a build of somebody else beside this run has one meanwhile."""

    async def gone() -> bool:
        return not groups & leftovers.groups()

    with suppress(TimeoutError):
        await eventually(gone, _LONGEST_BUILD_SECONDS)
    return groups & leftovers.groups()


@asynccontextmanager
async def synthetic(scale: Scale, folder: Path, engine: str) -> AsyncIterator[Synthetic]:
    """Everything running, for the duration of the block."""
    mark = f"soak{random.Random(scale.seed).randrange(16**4):04x}{os.getpid() % 1000:03d}"
    (folder / "git").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        git = stack.enter_context(git_host(folder / "git", REPOSITORY))
        await asyncio.to_thread(_fill, git, mark)
        registry = stack.enter_context(mortal_registry(folder / "registry"))
        ready = [
            f"{mark}/ready@{await registries.push(registry.host, f'{mark}/ready', 'x', str(n))}" for n in range(_READY)
        ]
        url = stack.enter_context(_control_plane(folder))
        node = await stack.enter_async_context(watched_node(url))
        transport = Transport(url, {ADMIN_TOKEN: SECRETS["DEPLOY_ADMIN_TOKEN"]}, timeout=120)
        admin = AdminClient(await stack.enter_async_context(transport))

        async def there() -> bool:
            return bool(await admin.nodes())

        await eventually(there)
        common = _environment(scale, engine, mark, git, registry, url)
        runners = [
            Runner(folder, f"runner-{n}", {**common, "RUNNER_BUILDER": kind}) for n, kind in enumerate(scale.builders)
        ]
        for runner in runners:
            stack.callback(runner.close)
            await asyncio.to_thread(runner.start)
        images = [f"{registry.host}/{reference}" for reference in ready]
        yield Synthetic(scale, folder, engine, mark, git, registry, node, admin, runners, images)


def _fill(git: GitHost, mark: str) -> None:
    """Branches with an app each that is built in no time."""
    dockerfile = f'FROM scratch\nCOPY page /{mark}/page\nCMD ["/{mark}/none"]\n'
    refs = []
    for number in range(_BRANCHES):
        refs.append(f"{git.commit({'Dockerfile': dockerfile, 'page': f'{number}'})}:refs/heads/branch-{number}")
    git.push(*refs)


@contextmanager
def _control_plane(folder: Path) -> Iterator[str]:
    port = real.free_port()
    environment = {
        "PATH": os.environ["PATH"],
        **SECRETS,
        "DEPLOY_PORT": str(port),
        "DEPLOY_DB_URL": f"sqlite:///{folder}/deploy.db",
    }
    argv = [sys.executable, "-m", "daemons.deploy"]
    with real.process(argv, folder / "deploy.log", env=environment, cwd=_ROOT):
        real.wait_until(lambda: real.listening(port), "the control plane's start")
        yield f"http://127.0.0.1:{port}"


def _environment(
    scale: Scale, engine: str, mark: str, git: GitHost, registry: MortalRegistry, url: str
) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DEPLOY_BASE_URL": url,
        "DEPLOY_RUNNER_TOKEN": SECRETS["DEPLOY_RUNNER_TOKEN"],
        "RUNTIME_AGENT_TOKEN": TOKEN,
        "DOCKER_HOST": engine,
        "GIT_SSH_KEY_PATH": str(git.bot_key),
        "GIT_KNOWN_HOSTS_PATH": str(git.known_hosts),
        "JOB_LEASE_SECONDS": str(scale.lease_seconds),
        "POLL_SECONDS": "0.2",
        "ACR_REGISTRY": registry.host,
        "ACR_NAMESPACE": mark,
        "RUNNER_SLOTS": str(scale.slots),
    }


def _peak_mib(runner: Runner) -> float:
    """The most resident memory of its present process (`VmHWM`, proc(5))."""
    try:
        lines = Path(f"/proc/{runner.pid}/status").read_text("ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
