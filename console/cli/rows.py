"""What every listing shares: its options, how its table is sorted and filtered, and how its rows are written."""

from collections.abc import Callable
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.cli.outcome import USAGE, Failure
from console.cli.output import Output, say, say_csv, say_documents, table, terminal_width
from console.live.filter import parse
from console.live.model import Link, LinkState, Live, Model, World
from console.live.table import Arrangement, Table
from console.live.views.spec import ViewSpec

if TYPE_CHECKING:
    from protocol.client.operator import OperatorClient

WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Go on: a table again, or a line for what changed. Ctrl-C ends it.")
]
FilterOption = Annotated[
    str, typer.Option("--filter", "-f", metavar="WORDS", help="As after / in the console: words, column:word, !word.")
]
SortOption = Annotated[
    str, typer.Option(metavar="COLUMN", help="By this column; with a minus before it, from its end.")
]


def arranged(
    view: ViewSpec[Any], words: str, sort: str, scope: Callable[[Any], bool] | None = None
) -> Arrangement[Any]:
    """How the table is to be sorted and filtered. Raises Failure."""
    order, reverse = (sort.removeprefix("-") or view.order), sort.startswith("-")
    columns = [field.name for field in view.fields]
    if order not in columns:
        raise Failure(f"{view.name} have no column {order!r} to sort by; choose one of {', '.join(columns)}", USAGE)
    wanted = parse(words, columns)
    if wanted.problem:
        raise Failure(f"--filter: {wanted.problem}", USAGE)
    return Arrangement(order, reverse, wanted, scope)


def filled(view: ViewSpec[Any], model: Model, arrangement: Arrangement[Any]) -> Table[Any]:
    """The view's table of one model."""
    filled = Table(view)
    filled.follow(World({"": Live(model, Link(LinkState.LIVE, 0))}), 0)
    filled.arrange(arrangement)
    return filled


async def watch(
    client: "OperatorClient", view: ViewSpec[Any], arrangement: Arrangement[Any], output: Output, limit: int
) -> None:
    """Go on writing until interrupted. What follows the control plane is loaded now: a list that is written once does
    without."""
    await import_module("console.cli.watching").Watch(view, arrangement, output, limit).follow(client)


def write(shown: Table[Any], output: Output, limit: int) -> None:
    """Write the first rows of a table."""
    keys = list(islice(shown.shown(), limit))
    fields = shown.view.fields
    match output:
        case Output.TABLE:
            rows = [shown.row(row) for row in range(len(keys))]
            say(table(tuple(field.column for field in fields), rows, terminal_width()))
        case Output.CSV:
            say_csv([field.name for field in fields], [plain_cells(shown, key) for key in keys])
        case Output.JSON | Output.NDJSON:
            values = (shown.value(key) for key in keys)
            say_documents(output, [value.to_data() for value in values if value is not None])


def plain_cells(shown: Table[Any], key: str) -> list[str]:
    """The cells of an object in plain words; none when it is gone."""
    value, scene = shown.value(key), shown.scene(key)
    if value is None or scene is None:
        return []
    return [field.text(value, scene) for field in shown.view.fields]
