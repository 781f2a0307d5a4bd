"""Statements with lists and with several rows, as plain named parameters."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from daemons.kit.database import PARAMETER, Value, Values

_EACH: Final = re.compile(r"/\*each\*/(.*?)/\*end\*/", re.DOTALL)
_ROW: Final = re.compile(r"\bVALUES\s*", re.IGNORECASE)


def expanded(statement: str, values: Values) -> tuple[str, Mapping[str, Value]]:
    """The statement with every `:list` as `:list_0, :list_1, ...`. Raises ValueError for an empty list."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if not isinstance(value, list | tuple):
            plain[name] = value
            continue
        if not value:
            raise ValueError(f"the list :{name} is empty; IN () is not SQL")
        plain.update({f"{name}_{place}": item for place, item in enumerate(value)})
        each = ", ".join(f":{name}_{place}" for place in range(len(value)))
        statement = PARAMETER.sub(lambda m, each=each, name=name: each if m[1] == name else m[0], statement)  # type: ignore[misc]
    return statement, only_plain(plain)


def only_plain(values: Mapping[str, Any]) -> Mapping[str, Value]:
    """The same values. Raises TypeError for one that a statement cannot take."""
    for name, value in values.items():
        if value is not None and not isinstance(value, str | int | float | bytes):
            raise TypeError(f"parameter :{name} is {type(value).__name__}; statements take text, numbers and bytes")
    return values


@lru_cache(maxsize=1024)
def repeated(statement: str, rows: int) -> str:
    """The statement for so many rows: their parameters are `:name_0`, `:name_1`, ... Raises ValueError when it says
    nowhere what to repeat."""
    marked = _EACH.search(statement)
    if marked:
        start, end, glue = marked.start(1), marked.end(1), " UNION ALL "
    else:
        start, glue = _start_of_row(statement), ", "
        end = _end_of_row(statement, start)
    one = statement[start:end]
    each = (PARAMETER.sub(lambda m, place=place: f":{m[1]}_{place}" if m[1] else m[0], one) for place in range(rows))  # type: ignore[misc]
    return statement[:start] + glue.join(each) + statement[end:]


def numbered(rows: Sequence[Values]) -> Mapping[str, Value]:
    """The parameters of `repeated`."""
    return {f"{name}_{place}": value for place, row in enumerate(rows) for name, value in row.items()}  # type: ignore[misc]


def _start_of_row(statement: str) -> int:
    found = _ROW.search(statement)
    if found is None:
        raise ValueError("the statement has neither VALUES nor /*each*/")
    return found.end()


def _end_of_row(statement: str, start: int) -> int:
    depth = 0
    for place in range(start, len(statement)):
        depth += {"(": 1, ")": -1}.get(statement[place], 0)
        if depth == 0:
            return place + 1
    raise ValueError("the parentheses after VALUES are not closed")
