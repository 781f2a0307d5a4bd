"""Orders to remove repositories, a file each in a folder; one that was carried out gets `.done` behind its name."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from daemons.git.ports import RemovalOrder
from protocol.api import GitRemoval, removal_file

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 4096


class FolderOrders:
    """The port `RemovalOrders`. What is no order is left alone and told once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: set[str] = set()

    async def pending(self) -> Sequence[RemovalOrder]:
        """Raises OSError."""
        names = await asyncio.to_thread(_names, self._folder)
        self._told.intersection_update(names)
        return [order for name in names if (order := await asyncio.to_thread(self._order, name)) is not None]

    async def done(self, order: RemovalOrder) -> None:
        """Raises OSError."""
        place = self._folder / removal_file(order.repository)
        await asyncio.to_thread(place.rename, place.with_name(f"{place.name}.done"))

    def _order(self, name: str) -> RemovalOrder | None:
        try:
            found = GitRemoval.model_validate_json(_content(self._folder / name))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            self._tell(name, type(error).__name__)
            return None
        if removal_file(found.repository) != name:
            self._tell(name, "another repository's name")
            return None
        return RemovalOrder(found.repository)

    def _tell(self, name: str, problem: str) -> None:
        if name not in self._told:
            self._told.add(name)
            logger.warning("removal_order_not_understood", extra={"file": name, "problem": problem})


def _names(folder: Path) -> Sequence[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except FileNotFoundError:
        return ()


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MOST_BYTES)
