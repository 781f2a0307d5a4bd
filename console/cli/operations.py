"""`funai operations`: what nodes have yet to do for apps."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from console.cli.outcome import Failure, run
from console.cli.output import Output, OutputOption, answered, listed
from console.live.cells import Column, Row, cell
from console.live.plain import line
from protocol.client.deploy import AdminClient
from protocol.operations import OperationState, OperationView

app = typer.Typer(rich_markup_mode=None)
_OPERATIONS: Final = (
    Column("NUMBER", 6, right=True),
    Column("WHAT", 6),
    Column("APP", 14),
    Column("NODE", 5, right=True),
    Column("STATE", 9),
    Column("TRIES", 5, right=True),
    Column("NEXT TRY", 8),
    Column("CAUSE", 10),
    Column("WHY", 0, flex=True),
)

NodeOption = Annotated[int | None, typer.Option("--node", min=1, metavar="ID", help="Only those of this node.")]


class Verb(StrEnum):
    """What to do about one operation."""

    RETRY = "retry"
    ABANDON = "abandon"


@app.command()
def operations(
    verb: Annotated[Verb | None, typer.Argument(help="What to do about one; without it they are listed.")] = None,
    number: Annotated[int | None, typer.Argument(min=1, help="Which one.")] = None,
    output: OutputOption = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many rows.")] = 50,
    ended: Annotated[bool, typer.Option("--all", help="Also those that are done or were abandoned.")] = False,
    node: NodeOption = None,
) -> None:
    """List the stops and deletes that nodes have yet to carry out; `retry NUMBER` tries one now, `abandon NUMBER` gives
    one up."""
    if verb is not None and number is None:
        raise typer.BadParameter("say which one by its number", param_hint="NUMBER")

    async def work(client: AdminClient) -> None:
        if verb is None or number is None:
            state = None if ended else OperationState.PENDING
            page = await client.operations(state=state, node_id=node, limit=limit)
            listed(output, page.items, _OPERATIONS, _operation_row)
            return
        if verb is Verb.ABANDON:
            done = await client.abandon_operation(number)
            said = f"operation {done.id} on app {done.app_id} is given up: the app may still run there"
            answered(output, done, said)
            return
        asked = await client.retry_operation(number)
        if asked.state.final:
            raise Failure(f"operation {number} is {asked.state.value}")
        answered(output, asked, f"operation {asked.id} on app {asked.app_id} is tried now")

    run(work, f"operation {number} was not changed" if verb else "operations cannot be listed")


def _operation_row(view: OperationView) -> Row:
    next_try = f"{view.next_attempt_at:%H:%M:%S}" if view.next_attempt_at is not None else ""
    cells = (
        cell(str(view.id)),
        cell(view.kind.value),
        cell(view.app_id),
        cell(str(view.node_id)),
        cell("running" if view.running else view.state.value),
        cell(str(view.attempts)),
        cell(next_try),
        cell(view.cause),
        cell(line(view.message or "")),
    )
    return Row(str(view.id), cells)
