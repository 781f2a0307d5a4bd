"""Live names for the shell to complete: asked of the control plane while the operator presses Tab.

Never loud and never long: without an answer within half a second there are no names. What is offered came from users
and is shown by a shell, so only what looks like a name is offered.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Final

from console.connect import admin
from console.live.plain import line
from console.settings import NotConfigured, read
from protocol.client.transport import ClientError

if TYPE_CHECKING:
    from protocol.client.deploy import AdminClient

_SECONDS: Final = 0.5
_MOST: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: What is said of a name goes through `eval` in zsh.
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 ._-]")
_HELP: Final = 60
Named = tuple[str, str]


def jobs(incomplete: str) -> list[Named]:
    """The newest jobs, with how they stand."""

    async def ask(client: "AdminClient") -> Iterable[Named]:
        return ((job.id, f"{job.app_id} {job.status.value}") for job in await client.newest(_MOST))

    return _ask(ask, incomplete)


def apps(incomplete: str) -> list[Named]:
    """Apps, with how they stand."""

    async def ask(client: "AdminClient") -> Iterable[Named]:
        return ((each.app_id, each.condition.value) for each in (await client.apps(limit=_MOST)).items)

    return _ask(ask, incomplete)


def nodes(incomplete: str) -> list[Named]:
    """Nodes, with their health."""

    async def ask(client: "AdminClient") -> Iterable[Named]:
        return ((each.name, each.health.value) for each in await client.nodes())

    return _ask(ask, incomplete)


def runners(incomplete: str) -> list[Named]:
    """Runners, with their health."""

    async def ask(client: "AdminClient") -> Iterable[Named]:
        return ((each.runner_id, each.health.value) for each in (await client.snapshot()).runners)

    return _ask(ask, incomplete)


def drains(incomplete: str) -> list[Named]:
    """Drains, with their nodes."""

    async def ask(client: "AdminClient") -> Iterable[Named]:
        return ((str(each.id), f"{each.node} {each.state.value}") for each in (await client.drains(limit=50)).items)

    return _ask(ask, incomplete)


def views(incomplete: str) -> list[Named]:
    """Views of the console, loaded with the first question for them: most commands have nothing to do with views."""
    every = import_module("console.live.catalog").VIEWS
    return [(each.name, each.title) for each in every if each.name.startswith(incomplete)]


def _ask(ask: Callable[["AdminClient"], Awaitable[Iterable[Named]]], incomplete: str) -> list[Named]:
    try:
        found = asyncio.run(_asked(ask))
    except (ClientError, NotConfigured, OSError, TimeoutError):
        return []
    return [
        (name, _UNSAFE.sub("", line(words, _HELP)))
        for name, words in found
        if name.startswith(incomplete) and _NAME.fullmatch(name)
    ]


async def _asked(ask: Callable[["AdminClient"], Awaitable[Iterable[Named]]]) -> list[Named]:
    client = admin(read())
    async with client.transport, asyncio.timeout(_SECONDS):
        return list(await ask(client))
