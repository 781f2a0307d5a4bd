"""Orders about repositories, a file each in a folder of their kind; one that was carried out gets `.done` behind its
name."""

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

from pydantic import ValidationError

from protocol.api import GitCreation, GitRemoval, order_file

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 2 * 1024 * 1024

Order = TypeVar("Order", GitCreation, GitRemoval)


class FolderOrders(Generic[Order]):
    """The port `Orders`. What is no order is left alone and told once."""

    def __init__(self, folder: Path, kind: type[Order]) -> None:
        self._folder = folder
        self._kind: type[Order] = kind
        self._told: set[str] = set()

    async def pending(self) -> Sequence[Order]:
        """Raises OSError."""
        names = await asyncio.to_thread(_names, self._folder)
        self._told.intersection_update(names)
        return [order for name in names if (order := await asyncio.to_thread(self._order, name)) is not None]

    async def done(self, order: Order) -> None:
        """Raises OSError; harmless when the order was withdrawn meanwhile."""
        place = self._folder / order_file(order.repository)
        try:
            await asyncio.to_thread(place.rename, place.with_name(f"{place.name}.done"))
        except FileNotFoundError:
            logger.info("order_withdrawn", extra={"repository": order.repository, "kind": self._kind.__name__})

    def _order(self, name: str) -> Order | None:
        try:
            found: Order = self._kind.model_validate_json(_content(self._folder / name))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            self._tell(name, type(error).__name__)
            return None
        if order_file(found.repository) != name:
            self._tell(name, "another repository's name")
            return None
        return found

    def _tell(self, name: str, problem: str) -> None:
        if name not in self._told:
            self._told.add(name)
            logger.warning("order_not_understood", extra={"file": name, "problem": problem})


def _names(folder: Path) -> Sequence[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except FileNotFoundError:
        return ()


def _content(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MOST_BYTES)
