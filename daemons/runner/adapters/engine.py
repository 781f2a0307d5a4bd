"""The engine's streamed calls: a request whose answer is one JSON document a line.

Build and push are called here directly, over the session of an aiodocker client: its own methods take a broken
connection for the end of the stream, leave an abandoned response open, and know neither limits nor two names.
API: Docker Engine API 1.41, "Build an image" and "Push an image".
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Final

import aiodocker
import aiohttp

from daemons.runner.adapters.leash import leashed

_CHUNK_BYTES: Final = 256 * 1024
#: The engine passes on 32 KiB of output at a time, and JSON may write each byte as six.
_LONGEST_LINE: Final = 1024 * 1024
_CONNECT_SECONDS: Final = 10.0
Query = Mapping[str, str] | Sequence[tuple[str, str]]


class StreamFailed(Exception):
    """The engine said in the stream, or instead of it, that the call failed; `code` is a command's exit code."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


async def stream(
    docker: aiodocker.Docker,
    path: str,
    query: Query,
    headers: Mapping[str, str],
    body: AsyncIterator[bytes] | None = None,
) -> AsyncGenerator[Mapping[str, Any], None]:
    """The documents as they come; closing the generator closes the connection. Raises StreamFailed.

    Raises aiohttp.ClientError when the connection breaks and ValueError when a line is not JSON.
    """
    url = f"{docker.docker_host}/{path}"
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
    async with docker.session.post(
        url, params=query, headers=headers, data=body, timeout=timeout, read_bufsize=_LONGEST_LINE
    ) as response:
        if response.status >= 400:
            raise StreamFailed(_message(await response.text()))
        with _on_the_leash(response):
            async for line in response.content:
                item = json.loads(line)
                if "error" in item or "errorDetail" in item:
                    raise _failure(item)
                yield item


@contextlib.contextmanager
def _on_the_leash(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Within the block the connection, and with it the call, ends with the attempt's lease: the engine sees its client
    go away. The socket is one more name of the same connection, which any thread may shut."""
    transport = response.connection.transport if response.connection else None
    there = transport.get_extra_info("socket") if transport else None
    if there is None:
        yield
        return
    with socket.socket(fileno=os.dup(there.fileno())) as own:

        def shut() -> None:
            with contextlib.suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)

        with leashed(shut):
            yield


async def insecure(docker: aiodocker.Docker, registry: str) -> bool:
    """Whether the engine speaks to a registry without TLS, or without checking it. Raises DockerError.

    What an engine knows of none by name it takes for secure, but for addresses in its list of networks: only those of
    this machine by default.
    """
    known = (await docker.system.info()).get("RegistryConfig") or {}
    configured = (known.get("IndexConfigs") or {}).get(registry)
    if configured is not None:
        return not configured.get("Secure", True)
    try:
        address = ip_address(registry.partition(":")[0])
    except ValueError:
        return False
    return any(address in ip_network(cidr) for cidr in known.get("InsecureRegistryCIDRs") or ())


async def chunks(path: Path) -> AsyncIterator[bytes]:
    """A file's content, read in a thread."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
            yield data
    finally:
        file.close()


def _failure(item: Mapping[str, Any]) -> StreamFailed:
    detail = item.get("errorDetail")
    detail = detail if isinstance(detail, dict) else {}
    code = detail.get("code")
    return StreamFailed(str(detail.get("message") or item.get("error")), code if isinstance(code, int) else None)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:2000]
