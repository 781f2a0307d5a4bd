"""A folder of links, each a name and a word: what nginx reads without being told.

`FOLDER/NAME` leads to `../to/WORD`, a folder that is there, because only what is there has a real path. A link is
replaced by a rename: whoever looks finds the former or the new one, and never none.
"""

import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

_TARGETS: Final = "to"
_MODE: Final = 0o755


class Links:
    """All calls block; they raise OSError. This agent is the only writer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._targets = folder.with_name(_TARGETS)

    def all(self) -> dict[str, str]:
        """Every name and its word; what is no link of ours has the word ''."""
        try:
            names = [each.name for each in os.scandir(self._folder)]
        except FileNotFoundError:
            return {}
        return {name: self._word(name) for name in names if not name.startswith(".")}

    def put(self, name: str, word: str) -> None:
        """From now on. `settle` makes it survive the machine."""
        self._made()
        target = self._targets / word
        if not target.is_dir():
            target.mkdir(mode=_MODE)
            # A link that survives the machine must lead to something that does.
            _durable(self._targets)
        draft = self._folder / f".{name}.new"
        draft.unlink(missing_ok=True)
        draft.symlink_to(Path("..") / _TARGETS / word)
        draft.replace(self._folder / name)

    def drop(self, name: str) -> None:
        """An absent one is no error."""
        (self._folder / name).unlink(missing_ok=True)

    def settle(self) -> None:
        """What the links say survives the machine."""
        self._made()
        _durable(self._folder)

    def mend(self, wanted: Mapping[str, str]) -> int:
        """Have exactly these; how many had to be changed."""
        held = self.all()
        for name in held.keys() - wanted.keys():
            self.drop(name)
        changed = {name: word for name, word in wanted.items() if held.get(name) != word}
        for name, word in changed.items():
            self.put(name, word)
        mended = len(changed) + len(held.keys() - wanted.keys())
        if mended:
            self.settle()
        return mended

    def tidy(self, needed: Collection[str]) -> None:
        """Remove what no link of this folder, and nothing that is needed elsewhere, leads to."""
        kept = {*self.all().values(), *needed}
        for target in self._targets.iterdir() if self._targets.is_dir() else ():
            if target.name not in kept:
                # One with something in it is nobody's of ours.
                with suppress(OSError):
                    target.rmdir()

    def _word(self, name: str) -> str:
        try:
            to = (self._folder / name).readlink()
        except OSError:
            return ""
        return to.name if to.parts[:2] == ("..", _TARGETS) and (self._targets / to.name).is_dir() else ""

    def _made(self) -> None:
        for folder in (self._folder, self._targets):
            folder.mkdir(mode=_MODE, parents=True, exist_ok=True)


def _durable(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
