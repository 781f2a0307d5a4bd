"""Builds and pushes through the engine's API (classic builder).

Every build and push has an engine connection of its own, closed on every way out: the engine ends a build whose
client went away, and closing the shared response alone would leave that to the garbage collector. Registry
credentials travel in a push's header and nowhere else; a build never has them, so base images of a private registry
must be in the engine already.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiodocker
import aiohttp

from daemons.runner.adapters import context
from daemons.runner.domain.failures import WorkFailed, plain
from daemons.runner.ports import BuildOrder, LogSink
from protocol.errors import JobReason
from protocol.names import image_registry

logger = logging.getLogger(__name__)

_BUILD_SECONDS: Final = 1800.0
_PUSH_SECONDS: Final = 900.0
_REMOVE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class RegistryAccount:
    """Credentials and the one registry they may be sent to."""

    host: str
    username: str
    password: str = field(repr=False)

    def header(self, image: str) -> Mapping[str, str] | None:
        """What a push of that image may carry."""
        if not self.username or image_registry(image) != self.host:
            return None
        return {"username": self.username, "password": self.password, "serveraddress": self.host}


@dataclass(frozen=True, slots=True)
class BuildPolicy:
    """How every build is run; `pull` looks for newer base images."""

    pull: bool
    npm_registry: str

    @property
    def arguments(self) -> Mapping[str, str]:
        """Build arguments."""
        return {"NPM_REGISTRY": self.npm_registry} if self.npm_registry else {}


class EngineBuilder:
    """One Docker engine, or a compatible one."""

    def __init__(self, docker_host: str, account: RegistryAccount, policy: BuildPolicy) -> None:
        self._docker_host = docker_host
        self._account = account
        self._policy = policy

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        """Build `order.folder/source` and give it both names."""
        archive = order.folder / "context.tar"
        async with _step(JobReason.BUILD_FAILED, "the build", _BUILD_SECONDS):
            await context.pack(order.folder / "source", archive)
            async with self._engine() as docker:
                await self._build(docker, order, log)
                for name in order.names.all[1:]:
                    repository, _, tag = name.rpartition(":")
                    await docker.images.tag(order.names.immutable, repository, tag=tag)

    async def push(self, image: str, log: LogSink) -> str:
        """Push one name; answers its digest."""
        digest = ""
        async with _step(JobReason.PUSH_FAILED, f"the push of {image}", _PUSH_SECONDS), self._engine() as docker:
            repository, _, tag = image.rpartition(":")
            account = self._account.header(image)
            stream = docker.images.push(repository, tag=tag, auth=dict(account) if account else None, stream=True)
            async for item in stream:
                await log.write(_status(item))
                aux = item.get("aux")
                if isinstance(aux, dict) and isinstance(aux.get("Digest"), str):
                    digest = aux["Digest"]
        if not digest:
            raise WorkFailed(JobReason.PUSH_FAILED, f"the engine ended the push of {image} without naming its digest")
        return digest

    async def remove(self, images: Sequence[str]) -> None:
        """Remove local names; failures are logged, never raised."""
        try:
            async with asyncio.timeout(_REMOVE_SECONDS), self._engine() as docker:
                for image in images:
                    await _remove(docker, image)
        except (TimeoutError, aiodocker.DockerError, aiohttp.ClientError, OSError) as error:
            logger.warning("images could not be removed", extra={"images": list(images), "error": str(error)})

    async def ping(self) -> None:
        """Raises when the engine does not answer."""
        async with self._engine() as docker:
            await docker.version()

    def _engine(self) -> AbstractAsyncContextManager[aiodocker.Docker]:
        return aiodocker.Docker(url=self._docker_host)

    async def _build(self, docker: aiodocker.Docker, order: BuildOrder, log: LogSink) -> None:
        archive = order.folder / "context.tar"
        file = await asyncio.to_thread(archive.open, "rb")
        seen = _Seen()
        try:
            stream = docker.images.build(
                fileobj=file,
                encoding="identity",
                tag=order.names.immutable,
                path_dockerfile="Dockerfile",
                rm=True,
                forcerm=True,
                pull=self._policy.pull,
                buildargs=self._policy.arguments,
                labels=order.labels,
                stream=True,
            )
            async for item in stream:
                await log.write(seen.text(item))
        except aiodocker.DockerError as error:
            raise WorkFailed(JobReason.BUILD_FAILED, seen.failure(error.message), exit_code=seen.code(error)) from error
        finally:
            file.close()
        if not seen.image:
            # The client takes a broken connection for the end of the stream.
            raise WorkFailed(JobReason.BUILD_FAILED, "the engine broke off the build without naming an image")


class _Seen:
    """What a build's stream told so far."""

    def __init__(self) -> None:
        self.image = ""
        self._instruction = ""

    def text(self, item: Mapping[str, Any]) -> str:
        """The item as log text."""
        aux = item.get("aux")
        if isinstance(aux, dict) and isinstance(aux.get("ID"), str):
            self.image = aux["ID"]
        stream = item.get("stream")
        if not isinstance(stream, str):
            return _status(item)
        if stream.startswith("Step ") and " : " in stream:
            self._instruction = stream.strip()
        return stream

    def failure(self, message: str) -> str:
        """The engine's message and the instruction it concerns."""
        where = f" at {plain(self._instruction)[:300]}" if self._instruction else ""
        return f"the build failed{where}: {message}"

    @staticmethod
    def code(error: aiodocker.DockerError) -> int | None:
        """The exit code of the instruction's command, where the engine gives one."""
        detail = getattr(error, "error_detail", None)
        code = detail.get("code") if isinstance(detail, dict) else None
        return code if isinstance(code, int) else None


def _status(item: Mapping[str, Any]) -> str:
    """A pull's or push's progress without its moving bars."""
    status = item.get("status")
    if not isinstance(status, str) or item.get("progressDetail"):
        return ""
    layer = f"{item['id']}: " if isinstance(item.get("id"), str) else ""
    return f"{layer}{status}\n"


async def _remove(docker: aiodocker.Docker, image: str) -> None:
    try:
        await docker.images.delete(image)
    except aiodocker.DockerError as error:
        if error.status not in (404, 409):
            raise
        logger.info("an image stays", extra={"image": image, "why": error.message})


@asynccontextmanager
async def _step(reason: JobReason, what: str, seconds: float) -> AsyncIterator[None]:
    """The engine's failures, and a step that takes too long, as the failure of the job."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise WorkFailed(reason, f"{what} took longer than {seconds:g} s and was stopped") from None
    except aiodocker.DockerError as error:
        raise WorkFailed(reason, f"{what} failed: {error.message}") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise WorkFailed(reason, f"{what} failed: the engine's answer broke off: {error}") from error
