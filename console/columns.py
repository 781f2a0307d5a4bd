"""Which columns an operator chose last, by context and view: a small file of our own beside the operator's settings.

The settings themselves are the operator's to write; what is chosen with keys is kept here and wins over them.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from protocol.base import LATE

logger = logging.getLogger(__name__)
_CHOSEN: Final = TypeAdapter(dict[str, dict[str, tuple[str, ...]]], config=LATE)
_MOST_BYTES: Final = 1 << 20


class ChosenColumns:
    """The choices of one set of contexts. A file that cannot be read or written costs nothing but the choice."""

    def __init__(self, file: Path | None, context: str, usual: Mapping[str, tuple[str, ...]]) -> None:
        self._file = file
        self._context = context
        self._usual = usual

    def of(self, view: str) -> tuple[str, ...]:
        """The columns of a view; none when nothing was chosen, and then all are shown."""
        return self._read().get(self._context, {}).get(view) or self._usual.get(view, ())

    def keep(self, view: str, names: tuple[str, ...]) -> None:
        """Remember a choice; an empty one is forgotten."""
        if self._file is None:
            return
        every = self._read()
        mine = every.get(self._context, {}) | {view: names}
        every[self._context] = {view: chosen for view, chosen in mine.items() if chosen}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new = self._file.with_suffix(".new")
            new.write_bytes(_CHOSEN.dump_json(every))
            new.replace(self._file)
        except OSError as error:
            logger.warning("The choice of columns was not kept.", extra={"problem": str(error)})

    def _read(self) -> dict[str, dict[str, tuple[str, ...]]]:
        if self._file is None:
            return {}
        try:
            with self._file.open("rb") as file:
                return _CHOSEN.validate_json(file.read(_MOST_BYTES))
        except (OSError, ValidationError):
            return {}
