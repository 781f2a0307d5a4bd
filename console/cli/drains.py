"""`funai drain|drains|drain-pause|drain-resume|drain-undo|drain-cancel`: moving the apps of a node elsewhere."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import typer

from console.cli import names
from console.cli.outcome import Failure, run
from console.cli.output import Output, OutputOption, answered, listed
from console.live.cells import Column, Row, cell
from console.live.plain import line
from console.live.words import tn
from protocol.client.deploy import AdminClient
from protocol.client.transport import Unreachable
from protocol.drains import (
    DrainDetail,
    DrainMove,
    DrainPreview,
    DrainState,
    DrainView,
    MoveState,
    PlannedMove,
    PreviewDrain,
    StartDrain,
)

app = typer.Typer(rich_markup_mode=None)
_POLL_SECONDS: Final = 1.0
_MOST_PAUSE_SECONDS: Final = 10.0
_MESSAGE: Final = 300
_COLUMNS: Final = (
    Column("DRAIN", 5, right=True),
    Column("NODE", 16),
    Column("KIND", 8),
    Column("STARTED", 16),
    Column("BY", 12),
    Column("HOW FAR", 40, flex=True),
)
_MOVES: Final = (
    Column("APP", 12),
    Column("GOES TO", 16),
    Column("IMAGE", 40),
    Column("NOTE", 40, flex=True),
)
_MOVING: Final = (
    Column("APP", 12),
    Column("STATE", 9),
    Column("TO", 6),
    Column("JOB", 36),
    Column("WHY", 40, flex=True),
)

DrainArgument = Annotated[
    int,
    typer.Argument(metavar="DRAIN", min=1, help="A drain's number; see `funai drains`.", autocompletion=names.drains),
]
WaitOption = Annotated[bool, typer.Option("--wait", "-w", help="Show the progress until the drain is over.")]


@app.command()
def drain(
    node: Annotated[str, typer.Argument(metavar="NODE", autocompletion=names.nodes)],
    preview: Annotated[bool, typer.Option("--preview", help="Say what would be done, and change nothing.")] = False,
    max_parallel: Annotated[int, typer.Option("--max-parallel", min=1, max=50, help="Move so many at a time.")] = 2,
    partial: Annotated[bool, typer.Option("--partial", help="Leave apps there that fit nowhere else.")] = False,
    wait: WaitOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Cordon a node and move its apps to others, one job each; `funai cordon` moves nothing."""

    async def work(client: AdminClient) -> None:
        if preview:
            _say_preview(await client.preview_drain(PreviewDrain(node=node)), output)
            return
        started = await client.start_drain(StartDrain(node=node, max_parallel=max_parallel, partial=partial))
        answered(output, started, str(started.id))
        await _settled(client, started, wait=wait)

    run(work, f"node {node} was not drained")


@app.command()
def drains(
    number: Annotated[
        int | None,
        typer.Argument(metavar="[DRAIN]", min=1, help="Show one, with its apps.", autocompletion=names.drains),
    ] = None,
    output: OutputOption = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many rows.")] = 20,
) -> None:
    """List drains, newest first, or one with its apps."""

    async def work(client: AdminClient) -> None:
        if number is not None:
            _say_drain(await client.drain_plan(number), output)
            return
        page = await client.drains(limit=limit)
        listed(output, page.items, _COLUMNS, _row)

    run(work, "the drains cannot be listed")


@app.command("drain-pause")
def drain_pause(number: DrainArgument) -> None:
    """Begin no further move; those that have begun go on."""
    _order(number, lambda client: client.pause_drain(number), "was not paused", wait=False)


@app.command("drain-resume")
def drain_resume(number: DrainArgument, wait: WaitOption = False) -> None:
    """Go on with a paused drain."""
    _order(number, lambda client: client.resume_drain(number), "was not resumed", wait=wait)


@app.command("drain-undo")
def drain_undo(number: DrainArgument, wait: WaitOption = False) -> None:
    """Move back what was moved, drop the rest, and uncordon the node if it was not cordoned before."""
    _order(number, lambda client: client.undo_drain(number), "was not undone", wait=wait)


@app.command("drain-cancel")
def drain_cancel(number: DrainArgument) -> None:
    """Leave out every move that has not begun; the node stays cordoned."""
    _order(number, lambda client: client.cancel_drain(number), "was not cancelled", wait=False)


def _order(number: int, order: Callable[[AdminClient], Awaitable[DrainDetail]], failed: str, *, wait: bool) -> None:
    async def work(client: AdminClient) -> None:
        await _settled(client, await order(client), wait=wait)

    run(work, f"drain {number} {failed}")


async def _settled(client: AdminClient, drain: DrainDetail, *, wait: bool) -> None:
    """Say how far the drain is; with `wait`, whenever that changes until it is over. Raises Failure when it did not
    move everything, and ClientError when the control plane refuses."""
    said, pause = "", _POLL_SECONDS
    while True:
        if drain.summary != said:
            said = drain.summary
            sys.stderr.write(f"funai: drain {drain.id} of node {drain.node}: {line(said, _MESSAGE)}\n")
        if not wait or not drain.state.live:
            break
        await asyncio.sleep(pause)
        try:
            drain = await client.drain_plan(drain.id)
            pause = _POLL_SECONDS
        except Unreachable as error:
            pause = min(pause * 2, _MOST_PAUSE_SECONDS)
            sys.stderr.write(f"funai: {line(str(error), _MESSAGE)}; trying again\n")
    left = drain.counts.get(MoveState.FAILED, 0)
    if wait and (left or drain.state is DrainState.FAILED):
        why = tn(
            "{count} app of drain {number} was not moved; see `funai drains {number}`",
            "{count} apps of drain {number} were not moved; see `funai drains {number}`",
            left,
            number=drain.id,
        )
        raise Failure(why)


def _say_preview(preview: DrainPreview, output: Output) -> None:
    if output is Output.JSON:
        answered(output, preview, "")
    else:
        listed(output, preview.moves, _MOVES, _planned_row)
    sys.stderr.write(f"funai: node {preview.node}: {line(preview.explanation, _MESSAGE)}\n")
    if not preview.fits:
        raise Failure("not everything fits; add room or nodes, or use --partial")


def _say_drain(drain: DrainDetail, output: Output) -> None:
    if output is Output.JSON:
        answered(output, drain, "")
        return
    listed(output, drain.moves, _MOVING, _moving_row)
    sys.stderr.write(f"funai: drain {drain.id} of node {drain.node}: {line(drain.summary, _MESSAGE)}\n")


def _planned_row(move: PlannedMove) -> Row:
    note = "; ".join(filter(None, (move.note, *move.reasons)))
    texts = (move.app_id, move.target or "-", move.image or "(nothing runs)", note)
    return Row(move.app_id, tuple(map(cell, texts)))


def _moving_row(move: DrainMove) -> Row:
    target, message = str(move.target_node_id or "-"), line(move.message or "", _MESSAGE)
    texts = (move.app_id, move.state.value, target, move.job_id or "-", message)
    return Row(move.app_id, tuple(map(cell, texts)))


def _row(view: DrainView) -> Row:
    cells = (str(view.id), view.node, view.kind.value, f"{view.created_at:%Y-%m-%d %H:%M}", view.actor, view.summary)
    return Row(str(view.id), tuple(cell(line(text, _MESSAGE)) for text in cells))
