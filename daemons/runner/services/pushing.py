"""The push of an image under both of its names: again after what may pass, and proven afterwards.

What is deployed is the digest that the builder told; what a registry says of it is compared with that and never taken
instead.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import BuildPlan, ImageNames
from daemons.runner.domain.registries import may_pass
from daemons.runner.ports import Builder, Images, LogSink, Pacer, RegistryDown
from daemons.runner.services.pace import backoff
from daemons.runner.services.stages import StageBook
from protocol.errors import JobReason

logger = logging.getLogger(__name__)
T = TypeVar("T")

STAGE_SECONDS: Final = 900.0
_MOST_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 1.0
_MOST_PAUSE_SECONDS: Final = 30.0
_LOOKS: Final = 3


@dataclass(frozen=True, slots=True)
class Delivered:
    """What a registry has: the image's digest, and its size in bytes where that is known."""

    digest: str
    bytes: int | None


class Push:
    """One push of one build, told in the log and in the stage that is under way. `there` is called with the digest once
    the image can be pulled, before the rest is done."""

    def __init__(
        self,
        builder: Builder,
        images: Images,
        pacer: Pacer,
        log: LogSink,
        stages: StageBook,
        there: Callable[[str], Awaitable[None]],
    ) -> None:
        self._there = there
        self._builder = builder
        self._images = images
        self._pacer = pacer
        self._log = log
        self._stages = stages
        self._retries = 0
        self._last = ""

    async def run(self, build: BuildPlan, names: ImageNames) -> Delivered:
        """Raises WorkFailed."""
        try:
            async with self._pacer.limit(STAGE_SECONDS):
                return await self._run(build, names)
        except TimeoutError:
            last = f"; the last try failed: {self._last}" if self._last else ""
            raise WorkFailed(
                JobReason.PUSH_FAILED, f"the push took longer than {STAGE_SECONDS:g} s and was stopped{last}"
            ) from None

    async def _run(self, build: BuildPlan, names: ImageNames) -> Delivered:
        digest = await self._again(build, names.immutable)
        await self._there(digest)
        if names.moving != names.immutable:
            await self._again(build, names.moving)
        size = await self._looked_up(build, lambda: self._size(build, names, digest))
        for name in names.all:
            await self._compare(build, name, digest)
        return Delivered(digest, size)

    async def _again(self, build: BuildPlan, image: str) -> str:
        """The digest. Raises WorkFailed for what does not pass, or has not after so many tries."""
        pauses = backoff(_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS)
        for number in range(1, _MOST_TRIES):
            try:
                return await self._builder.push(image, self._log)
            except WorkFailed as failure:
                if not may_pass(failure.text):
                    raise
                self._last = failure.text
            seconds = max(next(pauses), await self._images.pause(build.registry))
            await self._log.write(
                f"try {number} of {_MOST_TRIES} failed: {self._last}; trying again in {seconds:.1f} s\n"
            )
            self._retries += 1
            self._stages.note(retries=self._retries)
            await self._pacer.sleep(seconds)
        return await self._builder.push(image, self._log)

    async def _size(self, build: BuildPlan, names: ImageNames, digest: str) -> int:
        size = await self._images.size(build.registry, build.name, digest)
        if size is None:
            raise WorkFailed(
                JobReason.PUSH_FAILED, f"the registry took {names.immutable} and does not have {digest} now"
            )
        return size

    async def _compare(self, build: BuildPlan, image: str, digest: str) -> None:
        """Somebody else may have moved the tag since, and a registry may err: neither changes what is deployed."""
        tag = image.rpartition(":")[2]
        named = await self._looked_up(build, lambda: self._images.digest(build.registry, build.name, tag))
        if named is not None and named != digest:
            await self._log.write(
                f"{image} names {named or 'something else'} by now; deployed is {digest} all the same\n"
            )

    async def _looked_up(self, build: BuildPlan, look: Callable[[], Awaitable[T]]) -> T | None:
        """What a look found; None when the registry does not tell. A node checks the digest once more when it pulls."""
        pauses = backoff(_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS)
        for number in range(1, _LOOKS + 1):
            try:
                return await look()
            except RegistryDown as error:
                if number == _LOOKS or not may_pass(str(error)):
                    await self._log.write(f"what was pushed could not be looked up: {error}\n")
                    logger.info("a pushed image was not looked up", extra={"image": build.name, "error": str(error)})
                    return None
            await self._pacer.sleep(max(next(pauses), await self._images.pause(build.registry)))
        raise AssertionError("unreachable: the loop returns")
