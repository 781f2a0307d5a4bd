"""Calls of a Docker Engine through aiodocker. Its errors and time limits become EngineError, in its own words.

aiodocker builds URL paths from names, so every name and reference is checked here once more before it gets there.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from aiodocker.exceptions import DockerError

from daemons.kit.engine.errors import EngineError, PortTaken

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")
_PORT_TAKEN: Final = ("port is already allocated", "address already in use")


@asynccontextmanager
async def words(what: str, seconds: float) -> AsyncIterator[None]:
    """Every way in which the engine fails, in its own words."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except DockerError as error:
        kind = PortTaken if any(sign in error.message for sign in _PORT_TAKEN) else EngineError
        raise kind(f"the engine could not {what}: {error.message.strip()}") from error
    except TimeoutError as error:
        raise EngineError(f"the engine did not {what} within {seconds:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise EngineError(f"the engine could not {what}: {str(error) or type(error).__name__}") from error


async def absent(call: Any) -> Any:
    """The call's answer, or None when the engine knows no such thing (404) or has nothing to do (304)."""
    try:
        return await call
    except DockerError as error:
        if error.status in (304, 404):
            return None
        raise


def checked(name: str) -> str:
    """The name, if it is one that a container of ours may have. Raises EngineError."""
    if not _NAME.fullmatch(name):
        raise EngineError("a container's name holds characters that no name of ours has")
    return name


def checked_reference(reference: str) -> str:
    """The reference, if an image may have it. Raises EngineError."""
    if not _REFERENCE.fullmatch(reference) or ".." in reference or "//" in reference:
        raise EngineError("an image reference holds characters that no reference has")
    return reference
