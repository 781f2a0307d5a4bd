"""What containers write, from the Docker Engine's log endpoint: stamped pieces of both streams, in the order written.

A reader that pauses makes the engine wait: nothing is buffered here beyond one read.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from aiodocker import Docker
from aiodocker.exceptions import DockerError

from daemons.agent.domain.output import NotOutput, Piece, Pieces, engine_time
from daemons.kit.engine.errors import EngineError

_OPEN_SECONDS: Final = 30.0


async def itself(name: str) -> str:
    """The name: a container of one engine is called as its instance is."""
    return name


class DockerOutput:
    """One open answer of the engine."""

    def __init__(self, name: str, response: aiohttp.ClientResponse) -> None:
        self._name = name
        self._response = response
        self._pieces = Pieces()

    async def read(self, seconds: float) -> Sequence[Piece] | None:
        """Raises EngineError."""
        try:
            async with asyncio.timeout(seconds):
                while data := await self._response.content.readany():
                    # What was read may end in the middle of a piece.
                    if found := self._pieces.feed(data):
                        return found
            return None
        except TimeoutError:
            return ()
        except (aiohttp.ClientError, OSError, NotOutput) as error:
            raise _broken(self._name, error) from error


class DockerOutputs:
    """The port `Outputs` over one engine."""

    def __init__(self, docker: Docker, locate: Callable[[str], Awaitable[str]] = itself) -> None:
        """`locate` tells the engine's name of an instance's container."""
        self._docker = docker
        self._locate = locate

    @asynccontextmanager
    async def output(self, name: str, *, since: int, tail: int | None, follow: bool) -> AsyncIterator[DockerOutput]:
        """Entering it raises EngineError."""
        asked = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": "all" if tail is None else str(tail)}
        asked |= {"follow": "1"} if follow else {}
        asked |= {"since": engine_time(since)} if since else {}
        container = await self._locate(name)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                # aiodocker's own reader mixes the two streams and decodes them.
                response = await self._docker._do_query(f"containers/{container}/logs", "GET", params=asked)
        except (DockerError, aiohttp.ClientError, OSError) as error:
            raise _broken(name, error) from error
        try:
            yield DockerOutput(name, response)
        finally:
            response.close()

    async def variables(self, name: str) -> Mapping[str, str]:
        """Raises EngineError."""
        container = await self._locate(name)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                document = await self._docker.containers.container(container).show()
        except (DockerError, aiohttp.ClientError, OSError) as error:
            raise _broken(name, error) from error
        pairs = (variable.partition("=") for variable in document["Config"].get("Env") or ())
        return {key: text for key, _, text in pairs}


def _broken(name: str, error: Exception) -> EngineError:
    said = error.message.strip() if isinstance(error, DockerError) else str(error) or type(error).__name__
    return EngineError(f"the engine could not read the output of container {name}: {said}")
