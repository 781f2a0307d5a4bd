"""A log as a file: plain text that is safe to show, over-long lines whole again, for this account alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from console.live.logs.book import Logbook
from console.live.logs.colours import drawn
from console.live.logs.lines import Mark
from console.live.logs.paper import Stamps, label, stamp
from console.live.logs.store import LogStore

_MOST_FILES: Final = 10_000


def save(folder: Path, book: Logbook, store: LogStore, numbers: range | list[int], stamps: Stamps) -> tuple[Path, int]:
    """Write these lines of a copy of the book's store into a new file of the folder; its path and how many lines.

    Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(origin.label for origin in book.origins[:3])).strip("-.") or "log"
    path = _free(folder, name[:80])
    with path.open("w", encoding="utf-8") as file:
        path.chmod(0o600)
        file.writelines(_texts(book, store, numbers, stamps))
    return path, len(numbers)


def _free(folder: Path, name: str) -> Path:
    for number in range(1, _MOST_FILES):
        path = folder / f"{name}-{number}.log"
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(f"{folder} holds {_MOST_FILES} logs of {name}; remove some")


def _texts(book: Logbook, store: LogStore, numbers: range | list[int], stamps: Stamps) -> Iterator[str]:
    goes_on = False
    for number in numbers:
        line = store.line(number)
        text = drawn(line.raw).text
        if Mark.NOTE in line.mark:
            text = f"- {text} -"
        if not goes_on:
            yield "" if stamps is Stamps.OFF else f"{stamp(line, stamps)} "
            yield f"{label(book, line.source)} " if len(book.origins) > 1 else ""
        yield text
        goes_on = Mark.GOES_ON in line.mark
        if not goes_on:
            yield "\n"
    if goes_on:
        yield "\n"
