"""The git server of ours makes and removes repositories by orders that it finds in folders that both know."""

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from daemons.api.ports.repositories import RepositoryTrouble
from protocol.api import GitCreation, GitRemoval, GitTemplate, order_file

_LOOK_SECONDS: Final = 0.05


class FolderHost:
    """The port `RepositoryHost`. Runners and workspaces are let in by the access file and by loans, and pushes are told
    without being asked; without folders there is no git server of ours, and nothing to do."""

    def __init__(self, creations: Path | None, removals: Path | None, patience: float = 3.0) -> None:
        """`patience` is how long an order may take (seconds) before it is said that nobody carried it out yet."""
        self._creations = creations
        self._removals = removals
        self._patience = patience

    async def create(self, repository: str, files: Mapping[str, str]) -> None:
        """Order it, and wait until it is there. Raises RepositoryTrouble."""
        if self._creations is None:
            return
        templates = tuple(GitTemplate(path=path, content=content) for path, content in files.items())
        order = GitCreation(repository=repository, templates=templates)
        content = order.to_json() + b"\n"
        await self._carried_out(self._creations / order_file(repository), content, "GIT_CREATIONS_DIR")

    async def admit_bots(self, repository: str) -> None:
        """Nothing is to be done."""

    async def announce(self, repository: str) -> None:
        """Nothing is to be done."""

    async def remove(self, repository: str) -> None:
        """Withdraw the order to make it, then order its removal. Raises RepositoryTrouble."""
        if self._creations is not None:
            await _withdrawn(self._creations / order_file(repository))
        if self._removals is not None:
            content = GitRemoval(repository=repository).to_json() + b"\n"
            await self._carried_out(self._removals / order_file(repository), content, "GIT_REMOVALS_DIR")

    async def _carried_out(self, order: Path, content: bytes, setting: str) -> None:
        done = _done(order)
        try:
            # Done by an order whose answer nobody heard, or done now.
            if not await asyncio.to_thread(done.exists):
                await asyncio.to_thread(_ordered, order, content)
                await _seen(done, self._patience)
            await asyncio.to_thread(done.unlink, missing_ok=True)
        except OSError as error:
            raise RepositoryTrouble(_words(setting, error)) from error


async def _withdrawn(order: Path) -> None:
    try:
        for place in (order, _done(order)):
            await asyncio.to_thread(place.unlink, missing_ok=True)
    except OSError as error:
        raise RepositoryTrouble(_words("GIT_CREATIONS_DIR", error)) from error


def _done(order: Path) -> Path:
    return order.with_name(f"{order.name}.done")


def _words(setting: str, error: OSError) -> str:
    return f"the order cannot be given; operators: {setting} ({error.strerror})"


async def _seen(done: Path, patience: float) -> None:
    try:
        async with asyncio.timeout(patience):
            while not await asyncio.to_thread(done.exists):  # noqa: ASYNC110 - another process gives no event
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise RepositoryTrouble("the git server has the order, and has not carried it out yet; does it run?") from None


def _ordered(order: Path, content: bytes) -> None:
    if order.exists():
        return
    order.parent.mkdir(parents=True, exist_ok=True)
    draft = order.with_name(f".{order.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(order)
    finally:
        draft.unlink(missing_ok=True)
