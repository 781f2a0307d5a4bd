"""Builds and pushes through the engine's API (classic builder).

Every build and push has an engine connection of its own, closed on every way out: the engine ends a build whose
client went away. Registry credentials travel in a push's header and nowhere else; a build never has them, so base
images of a private registry must be in the engine already.
"""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiodocker
import aiohttp
import orjson

from daemons.runner.adapters import engine
from daemons.runner.adapters.context import Contexts
from daemons.runner.domain.failures import WorkFailed, disk_is_full, plain
from daemons.runner.domain.registries import PLAIN_ADVICE, is_plain
from daemons.runner.ports import BuildOrder, LogSink
from protocol.errors import JobReason
from protocol.names import image_registry

logger = logging.getLogger(__name__)

_PUSH_SECONDS: Final = 900.0
_REMOVE_SECONDS: Final = 30.0
_CPU_SHARES: Final = 256
_CPU_PERIOD: Final = 100_000
_OUTPUT_CHARACTERS: Final = 4_000


@dataclass(frozen=True, slots=True)
class RegistryAccount:
    """Credentials and the one registry they may be sent to."""

    host: str
    username: str
    password: str = field(repr=False)

    def header(self, image: str) -> str:
        """The X-Registry-Auth of a push of that image; the engine wants one even for an anonymous push."""
        proof: dict[str, str] = {}
        if self.username and image_registry(image) == self.host:
            proof = {"username": self.username, "password": self.password, "serveraddress": self.host}
        return base64.urlsafe_b64encode(orjson.dumps(proof)).decode()


@dataclass(frozen=True, slots=True)
class BuildPolicy:
    """How every build is run.

    `pull` looks for newer base images; `memory_bytes` and `cpus` bound each instruction (0: no bound); `seconds` bounds
    the whole; without `network` instructions reach nothing. `secrets` are files that instructions may mount by
    name, where the builder can.
    """

    pull: bool
    arguments: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    cpus: float = 0
    seconds: float = 1800.0
    network: bool = True
    secrets: Mapping[str, Path] = field(default_factory=dict)

    def query(self, order: BuildOrder, dockerfile: str) -> list[tuple[str, str]]:
        """The engine's build parameters. A build that competes with others, or with apps, yields the processor."""
        limits = {"memory": str(self.memory_bytes), "memswap": str(self.memory_bytes)} if self.memory_bytes else {}
        if self.cpus:
            limits |= {"cpuperiod": str(_CPU_PERIOD), "cpuquota": str(int(self.cpus * _CPU_PERIOD))}
        if not self.network:
            limits |= {"networkmode": "none"}
        fixed = {
            "dockerfile": dockerfile,
            "rm": "1",
            "forcerm": "1",
            "pull": "1" if self.pull else "0",
            "buildargs": orjson.dumps(dict(self.arguments)).decode(),
            "labels": orjson.dumps(dict(order.labels)).decode(),
            "cpushares": str(_CPU_SHARES),
            **limits,
        }
        return [("t", name) for name in order.names.all] + list(fixed.items())


class EngineBuilder:
    """One Docker engine, or a compatible one. `plain_http` lists the registries that may be spoken to without TLS,
    besides those of this machine; the engine has a list of its own, and both must agree."""

    def __init__(
        self,
        docker_host: str,
        account: RegistryAccount,
        policy: BuildPolicy,
        contexts: Contexts,
        *,
        plain_http: Sequence[str] = (),
    ) -> None:
        self._plain_http = frozenset(plain_http)
        self._docker_host = docker_host
        self._contexts = contexts
        self._account = account
        self._policy = policy

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        """Build `order.folder/source` and give it both names."""
        seen = _Seen()
        async with _step(JobReason.BUILD_FAILED, "the build", self._policy.seconds, seen):
            packed = await self._contexts.pack(order, log)
            headers = {"Content-Type": "application/x-tar"}
            query = self._policy.query(order, packed.dockerfile)
            async with aiodocker.Docker(url=self._docker_host) as docker:
                items = engine.stream(docker, "build", query, headers, engine.chunks(packed.archive))
                async with aclosing(items):
                    async for item in items:
                        await log.write(seen.text(item))
        if not seen.image:
            raise WorkFailed(JobReason.BUILD_FAILED, "the engine broke off the build without naming an image")

    async def push(self, image: str, log: LogSink) -> str:
        """Push one name; answers its digest."""
        seen = _Seen()
        what = f"the push of {image}"
        repository, _, tag = image.rpartition(":")
        headers = {"X-Registry-Auth": self._account.header(image)}
        async with (
            _step(JobReason.PUSH_FAILED, what, _PUSH_SECONDS, seen),
            aiodocker.Docker(url=self._docker_host) as docker,
        ):
            await self._require_tls(docker, image)
            items = engine.stream(docker, f"images/{repository}/push", {"tag": tag}, headers)
            async with aclosing(items):
                async for item in items:
                    await log.write(seen.text(item))
        if not seen.digest:
            raise WorkFailed(JobReason.PUSH_FAILED, f"the engine broke off {what} without naming a digest")
        return seen.digest

    async def _require_tls(self, docker: aiodocker.Docker, image: str) -> None:
        """An engine that need not insist on TLS sends the account in the clear when somebody answers without it."""
        registry = image_registry(image)
        if registry is None or is_plain(registry, self._plain_http) or not await engine.insecure(docker, registry):
            return
        raise WorkFailed(
            JobReason.PUSH_FAILED,
            f"the engine does not insist on TLS for the registry {registry}, and this runner does; nothing was sent",
            advice=PLAIN_ADVICE,
        )

    async def remove(self, images: Sequence[str]) -> None:
        """Remove the names of one build, the first of which is its alone; failures are logged, never raised.

        A further name stays when it names another image by now, or when that image has names of another build: a later
        attempt, perhaps of another runner on this engine, is about to push it.
        """
        try:
            async with asyncio.timeout(_REMOVE_SECONDS), aiodocker.Docker(url=self._docker_host) as docker:
                named = await _named(docker, images[0])
                alone = named <= set(images)
                for image in (*(each for each in images[1:] if alone and each in named), images[0]):
                    await _remove(docker, image)
        except (TimeoutError, aiodocker.DockerError, aiohttp.ClientError, OSError) as error:
            logger.warning("images could not be removed", extra={"images": list(images), "error": str(error)})

    async def ping(self) -> None:
        """Raises when the engine does not answer."""
        async with aiodocker.Docker(url=self._docker_host) as docker:
            await docker.version()


class _Seen:
    """What a build's or push's stream told so far."""

    def __init__(self) -> None:
        self.image = ""
        self.digest = ""
        self._instruction = ""
        self._output = ""

    def text(self, item: Mapping[str, Any]) -> str:
        """The item as log text."""
        aux = item.get("aux")
        if isinstance(aux, dict):
            self.image = str(aux.get("ID") or self.image)
            self.digest = str(aux.get("Digest") or self.digest)
        stream = item.get("stream")
        if not isinstance(stream, str):
            return _status(item)
        if stream.startswith("Step ") and " : " in stream:
            self._instruction, self._output = stream.strip(), ""
        self._output = (self._output + stream)[-_OUTPUT_CHARACTERS:]
        return stream

    def failure(self, what: str, message: str) -> str:
        """The engine's message and the instruction it concerns.

        Of a command the engine tells the exit code alone; that it found the disk full stands in its last output.
        """
        where = f" at {plain(self._instruction)[:300]}" if self._instruction else ""
        full = disk_is_full(self._output) and not disk_is_full(message)
        return f"{what} failed{where}: {message}{' (its output says: no space left on device)' if full else ''}"


def _status(item: Mapping[str, Any]) -> str:
    """A pull's or push's progress without its moving bars."""
    status = item.get("status")
    if not isinstance(status, str) or item.get("progressDetail"):
        return ""
    layer = f"{item['id']}: " if isinstance(item.get("id"), str) else ""
    return f"{layer}{status}\n"


async def _named(docker: aiodocker.Docker, image: str) -> set[str]:
    """All names of the image that has this name; none when there is no such image."""
    try:
        found = await docker.images.inspect(image)
    except aiodocker.DockerError as error:
        if error.status != 404:
            raise
        return set()
    return set(found.get("RepoTags") or ())


async def _remove(docker: aiodocker.Docker, image: str) -> None:
    try:
        # What it stands on is what the next build begins from; LayerCache removes it.
        await docker.images.delete(image, noprune=True)
    except aiodocker.DockerError as error:
        if error.status not in (404, 409):
            raise
        logger.info("an image stays", extra={"image": image, "why": error.message})


@asynccontextmanager
async def _step(reason: JobReason, what: str, seconds: float, seen: _Seen) -> AsyncIterator[None]:
    """The engine's failures, and a step that takes too long, as the failure of the job."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise WorkFailed(reason, f"{what} took longer than {seconds:g} s and was stopped") from None
    except engine.StreamFailed as error:
        raise WorkFailed(reason, seen.failure(what, str(error)), exit_code=error.code) from error
    except (aiodocker.DockerError, aiohttp.ClientError, OSError, ValueError) as error:
        raise WorkFailed(reason, f"{what} failed, because the engine does not answer as it should: {error}") from error
