"""The steps of a plan, one after the other: clone, build, push, deploy."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import BuildPlan, ImageNames, Plan
from daemons.runner.ports import AppHost, Builder, BuildOrder, LogSink, Meter, Outcome, Pacer, Repository, WorkFolder
from protocol.errors import JobReason
from protocol.jobs import JobPhase, JobStatus

logger = logging.getLogger(__name__)
T = TypeVar("T")
Enter = Callable[[JobPhase], Awaitable[None]]

_REASONS: Final = {
    JobPhase.CLONE: JobReason.CLONE_FAILED,
    JobPhase.BUILD: JobReason.BUILD_FAILED,
    JobPhase.PUSH: JobReason.PUSH_FAILED,
    JobPhase.DEPLOY: JobReason.DEPLOY_FAILED,
}


@dataclass(frozen=True, slots=True)
class Tools:
    """What the steps work with."""

    repository: Repository
    builder: Builder
    hosts: AppHost
    pacer: Pacer
    meter: Meter


@dataclass(frozen=True, slots=True)
class _Image:
    deployed: str
    digest: str | None = None
    commit: str | None = None


class Steps:
    """One run of one plan. `enter` is called before each step and raises when the work must not go on."""

    def __init__(self, tools: Tools, plan: Plan, folder: WorkFolder, log: LogSink, enter: Enter) -> None:
        self._tools = tools
        self._plan = plan
        self._folder = folder
        self._log = log
        self._enter = enter
        self._built: ImageNames | None = None
        self._handed_over = False

    async def run(self) -> Outcome:
        """The successful outcome. Raises WorkFailed."""
        image = await self._image()
        await self._step(
            JobPhase.DEPLOY,
            f"deploying {image.deployed} on {self._plan.agent_url}",
            lambda: self._deploy(image.deployed),
        )
        return Outcome(JobStatus.SUCCEEDED, image=image.deployed, image_digest=image.digest, commit=image.commit)

    async def tidy(self) -> None:
        """Remove what the build left in the engine, unless the app may now run from it.

        With a registry the local copy is never needed again. Without one the engine is the node's own: once the agent
        was asked, the image is the agent's to keep or remove.
        """
        build = self._plan.build
        if self._built is None or build is None:
            return
        if build.registry:
            await self._tools.builder.remove(self._built.all)
        elif not self._handed_over:
            await self._tools.builder.remove((self._built.immutable,))

    async def _image(self) -> _Image:
        if self._plan.build is None:
            return _Image(self._plan.image or "")
        return await self._build(self._plan.build)

    async def _build(self, build: BuildPlan) -> _Image:
        source = build.source
        checkout = await self._step(
            JobPhase.CLONE,
            f"fetching {source.ref} of {source.url}",
            lambda: self._tools.repository.checkout(source, self._folder.path, self._log),
        )
        commit = checkout.commit
        await self._log.write(f"commit {commit}\n")
        names = build.names(commit, self._plan.serial)
        labels = {"funai.managed": "1", "funai.app-id": self._plan.app_id, "funai.user-id": self._plan.user_id}
        order = BuildOrder(self._folder.path, names, labels)
        self._built = names
        await self._step(
            JobPhase.BUILD, f"building {names.immutable}", lambda: self._tools.builder.build(order, self._log)
        )
        if not build.registry:
            return _Image(names.immutable, commit=commit)
        digest = await self._step(JobPhase.PUSH, f"pushing to {build.registry}", lambda: self._push(names))
        return _Image(f"{build.repository}@{digest}", digest, commit)

    async def _push(self, names: ImageNames) -> str:
        digest = await self._tools.builder.push(names.immutable, self._log)
        if names.moving != names.immutable:
            await self._tools.builder.push(names.moving, self._log)
        return digest

    async def _deploy(self, image: str) -> None:
        self._handed_over = True
        await self._tools.hosts.deploy(self._plan.agent_url, self._plan.order(image))
        await self._log.write("the app is live\n")

    async def _step(self, phase: JobPhase, what: str, work: Callable[[], Awaitable[T]]) -> T:
        await self._enter(phase)
        await self._log.write(f"[{phase.value.lower()}] {what}\n")
        started = self._tools.pacer.now()
        try:
            return await work()
        except WorkFailed:
            raise
        except Exception as error:
            logger.exception("a step crashed", extra={"job_id": self._plan.job_id, "phase": phase.value})
            raise WorkFailed(
                _REASONS[phase],
                f"the runner itself failed in {phase.value}: {type(error).__name__}: {error}",
                advice="Deploy again; if it fails the same way, the runner's log has the details.",
            ) from error
        finally:
            self._tools.meter.step(phase, self._tools.pacer.now() - started)
