"""The steps of a plan, one after the other: clone, build, push, deploy."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import BuildPlan, ImageNames, Plan, Pushed
from daemons.runner.ports import (
    AppHost,
    Builder,
    BuildOrder,
    Images,
    LogSink,
    Meter,
    Outcome,
    Pacer,
    RegistryDown,
    Repository,
    WorkFolder,
)
from daemons.runner.services.pushing import Push
from daemons.runner.services.stages import StageBook
from protocol.apps import WarmImage
from protocol.errors import JobReason
from protocol.jobs import JobPhase, JobStatus, StageOutcome

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
    images: Images
    pacer: Pacer
    meter: Meter


@dataclass(frozen=True, slots=True)
class _Image:
    deployed: str
    digest: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an attempt works and tells what it does. `enter` is called before each step and raises when the work must
    not go on."""

    folder: WorkFolder
    log: LogSink
    enter: Enter
    stages: StageBook


class Steps:
    """One run of one plan."""

    def __init__(self, tools: Tools, plan: Plan, desk: Desk) -> None:
        self._tools = tools
        self._plan = plan
        self._folder = desk.folder
        self._log = desk.log
        self._enter = desk.enter
        self._stages = desk.stages
        self._built: ImageNames | None = None
        self._handed_over = False
        self._warmed: WarmImage | None = None

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
        if self._warmed is not None and not self._handed_over:
            await self._tools.hosts.cool(self._plan.agent_url, self._warmed)
        if self._built is None or build is None:
            return
        if build.registry:
            await self._tools.builder.remove(self._built.all)
        elif not self._handed_over:
            await self._tools.builder.remove((self._built.immutable,))

    async def _image(self) -> _Image:
        build = self._plan.build
        if build is None:
            return _Image(self._plan.image or "")
        if build.pushed is not None and await self._is_there(build, build.pushed):
            return self._reuse(build, build.pushed)
        return await self._build(build)

    async def _is_there(self, build: BuildPlan, pushed: Pushed) -> bool:
        """Whether to go on from what an earlier attempt pushed. A registry that does not answer is no reason to build
        again: the push would need it, too, and the node may have the image already."""
        done = f"attempt {pushed.attempt} pushed {pushed.image} ({pushed.digest})"
        try:
            there = await self._tools.images.size(build.registry, build.name, pushed.digest) is not None
        except RegistryDown as error:
            await self._log.write(f"{done}; going on from there, although it could not be looked up: {error}\n")
            return True
        then = "going on from there" if there else "it is gone from the registry and is built again"
        await self._log.write(f"{done}; {then}\n")
        return there

    def _reuse(self, build: BuildPlan, pushed: Pushed) -> _Image:
        for phase in (JobPhase.CLONE, JobPhase.BUILD):
            self._stages.reuse(phase, commit=pushed.commit)
        self._stages.reuse(
            JobPhase.PUSH,
            bytes=pushed.bytes,
            commit=pushed.commit,
            image=pushed.image,
            image_digest=pushed.digest,
        )
        return _Image(f"{build.repository}@{pushed.digest}", pushed.digest, pushed.commit)

    async def _build(self, build: BuildPlan) -> _Image:
        source = build.source
        checkout = await self._step(
            JobPhase.CLONE,
            f"fetching {source.ref} of {source.url}",
            lambda: self._tools.repository.checkout(source, self._folder.path, self._log),
        )
        commit = checkout.commit
        self._stages.note(bytes=checkout.bytes, commit=commit)
        await self._log.write(f"commit {commit}\n")
        names = build.names(commit, self._plan.serial)
        labels = {"funai.managed": "1", "funai.app-id": self._plan.app_id, "funai.user-id": self._plan.user_id}
        order = BuildOrder(self._folder.path, names, labels, build.dockerfile, build.context)
        self._built = names
        await self._step(
            JobPhase.BUILD, f"building {names.immutable}", lambda: self._tools.builder.build(order, self._log)
        )
        self._stages.note(commit=commit, image=names.immutable)
        if not build.registry:
            return _Image(names.immutable, commit=commit)
        tools = self._tools
        push = Push(
            tools.builder, tools.images, tools.pacer, self._log, self._stages, lambda digest: self._warm(build, digest)
        )
        made = await self._step(JobPhase.PUSH, f"pushing to {build.registry}", lambda: push.run(build, names))
        self._stages.note(bytes=made.bytes, commit=commit, image=names.immutable, image_digest=made.digest)
        return _Image(f"{build.repository}@{made.digest}", made.digest, commit)

    async def _warm(self, build: BuildPlan, digest: str) -> None:
        """The node fetches the image while the rest of the push goes on."""
        image = f"{build.repository}@{digest}"
        self._warmed = WarmImage(user_id=self._plan.user_id, app_id=self._plan.app_id, image=image)
        said = await self._tools.hosts.warm(self._plan.agent_url, self._warmed)
        await self._log.write(f"{digest} can be pulled; {said}\n")

    async def _deploy(self, image: str) -> None:
        self._handed_over = True
        await self._tools.hosts.deploy(self._plan.agent_url, self._plan.order(image))
        await self._log.write("the app is live\n")

    async def _step(self, phase: JobPhase, what: str, work: Callable[[], Awaitable[T]]) -> T:
        self._stages.begin(phase)
        await self._enter(phase)
        await self._log.write(f"[{phase.value.lower()}] {what}\n")
        started = self._tools.pacer.now()
        try:
            result = await work()
        except WorkFailed:
            self._stages.end(StageOutcome.FAILED)
            raise
        except Exception as error:
            self._stages.end(StageOutcome.FAILED)
            logger.exception("a step crashed", extra={"job_id": self._plan.job_id, "phase": phase.value})
            raise WorkFailed(
                _REASONS[phase],
                f"the runner itself failed in {phase.value}: {type(error).__name__}: {error}",
                advice="Deploy again; if it fails the same way, the runner's log has the details.",
            ) from error
        else:
            self._stages.end(StageOutcome.DONE)
            return result
        finally:
            self._tools.meter.step(phase, self._tools.pacer.now() - started)
