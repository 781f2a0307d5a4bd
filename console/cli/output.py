"""How one-shot commands write what they found: for people, or for programs in one of three forms.

Standard output carries data alone; what is said about it goes to standard error.
"""

import csv
import io
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer
from rich.cells import cell_len, set_cell_size

from console.live.cells import Column, Row
from protocol.base import Wire

_GAP: Final = "  "
_NOTHING: Final = "–"
#: What a spreadsheet would calculate instead of showing it (CWE-1236); names and messages come from users.
_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?")


class Output(StrEnum):
    """How something is written."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    CSV = "csv"


OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="table for people; json, ndjson (a document a line) or csv for programs."),
]
LimitOption = Annotated[int, typer.Option("--limit", "-n", min=1, max=5000, help="At most so many rows.")]
Shown = TypeVar("Shown", bound=Wire)


def say(text: str) -> None:
    """Write one line, or lines, to standard output, now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def listed(output: Output, found: Sequence[Shown], columns: Sequence[Column], row: Callable[[Shown], Row]) -> None:
    """Write objects: their columns for people and as CSV, their wire form as JSON."""
    if output in (Output.JSON, Output.NDJSON):
        say_documents(output, [each.to_data() for each in found])
        return
    rows = [row(each) for each in found]
    if output is Output.CSV:
        names = [column_name(column) for column in columns]
        say_csv(names, [[cell.text for cell in each.cells] for each in rows])
    else:
        say(table(columns, rows, terminal_width()))


def answered(output: Output, answer: Wire | Mapping[str, Any], sentence: str) -> None:
    """Write what a change came to: a sentence for people, the answer's own form for programs."""
    data = answer.to_data() if isinstance(answer, Wire) else dict(answer)
    if output is Output.TABLE:
        say(sentence)
    elif output is Output.CSV:
        plain = {key: value for key, value in data.items() if not isinstance(value, (dict, list))}
        say_csv(list(plain), [["" if value is None else str(value) for value in plain.values()]])
    else:
        indent = orjson.OPT_INDENT_2 if output is Output.JSON else 0
        say(orjson.dumps(data, option=indent).decode())


def say_documents(output: Output, documents: Sequence[Mapping[str, Any]]) -> None:
    """Write documents as one JSON array, or as one line each."""
    if output is Output.JSON:
        say(orjson.dumps(documents, option=orjson.OPT_INDENT_2).decode())
    elif documents:
        say("\n".join(orjson.dumps(each).decode() for each in documents))


def say_csv(names: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """Write rows as RFC 4180 with line feeds, under a header unless `names` is None; nothing known is left empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if names is not None:
        writer.writerow(names)
    writer.writerows([_plain(each) for each in row] for row in rows)
    sys.stdout.write(text.getvalue())
    sys.stdout.flush()


def column_name(column: Column) -> str:
    """A column's title as a header for programs."""
    return re.sub(r"[^a-z0-9]+", "-", column.title.strip().casefold()).strip("-") or "mark"


def terminal_width() -> int | None:
    """Columns of the terminal; None when the output is no terminal."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(columns: Sequence[Column], shown: Sequence[Row], width: int | None) -> str:
    """The rows as aligned text with a header; the flexible column is cut to `width` cells, or never when None."""
    lines = [
        tuple(column.title.strip() for column in columns),
        *(tuple(cell.text for cell in row.cells) for row in shown),
    ]
    widths = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    if width is not None:
        taken = sum(size for size, column in zip(widths, columns, strict=True) if not column.flex)
        room = max(20, width - taken - len(_GAP) * (len(columns) - 1))
        widths = [min(size, room) if column.flex else size for size, column in zip(widths, columns, strict=True)]
    return "\n".join(_line(line, columns, widths) for line in lines)


def _line(texts: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts = []
    for text, column, width in zip(texts, columns, widths, strict=True):
        cut = text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
        blanks = " " * (width - cell_len(cut))
        parts.append(blanks + cut if column.right else cut + blanks)
    return _GAP.join(parts).rstrip()


def _plain(text: str) -> str:
    if text == _NOTHING:
        return ""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
