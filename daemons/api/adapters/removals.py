"""Repositories are removed by the git server, which finds the order in a folder that both know."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Final

from daemons.api.ports.deletions import PartLeft
from protocol.api import GitRemoval, removal_file

_LOOK_SECONDS: Final = 0.05
_SECONDS: Final = 3.0


class FolderRemovals:
    """The port `Repositories`; without a folder there is no git server of ours, and nothing to remove."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def remove(self, repository: str) -> None:
        """Raises PartLeft."""
        if self._folder is None:
            return
        order = self._folder / removal_file(repository)
        done = order.with_name(f"{order.name}.done")
        content = GitRemoval(repository=repository).to_json() + b"\n"
        try:
            # Done by an order whose answer nobody heard, or done now.
            if not await asyncio.to_thread(done.exists):
                await asyncio.to_thread(_ordered, order, content)
                await _seen(done)
            await asyncio.to_thread(done.unlink, missing_ok=True)
        except OSError as error:
            raise PartLeft(f"the order cannot be given; operators: GIT_REMOVALS_DIR ({error.strerror})") from error


async def _seen(done: Path) -> None:
    try:
        async with asyncio.timeout(_SECONDS):
            while not await asyncio.to_thread(done.exists):  # noqa: ASYNC110 - another process gives no event
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise PartLeft("the git server has the order, and has not carried it out yet; does it run?") from None


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
