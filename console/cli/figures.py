"""`funai app-stats`: what apps use, as their nodes' kernels count it."""

from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

from console.cli import names
from console.cli.outcome import USAGE, Failure, run
from console.cli.output import Output, OutputOption, listed
from console.cli.releases import app_id_of
from console.live.cells import Column, Row, cell, size
from protocol.client.deploy import AdminClient
from protocol.names import NodeName
from protocol.running import AppStats

app = typer.Typer(rich_markup_mode=None)
_NODE: Final = TypeAdapter[str](NodeName)
_COLUMNS: Final = (
    Column("APP", 12),
    Column("CPU %", 6, right=True),
    Column("MEMORY", 8, right=True),
    Column("LIMIT", 8, right=True),
    Column("PROCS", 5, right=True),
    Column("IN", 8, right=True),
    Column("OUT", 8, right=True),
    Column("DISK", 8, right=True),
    Column("CONTAINER", 24, flex=True),
)


@app.command("app-stats")
def app_stats(
    app_id: Annotated[
        str, typer.Argument(metavar="[APP]", help="The app's id.", show_default=False, autocompletion=names.apps)
    ] = "",
    node: Annotated[
        str, typer.Option(metavar="NODE", help="Every app of this node instead.", autocompletion=names.nodes)
    ] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Processor, memory, traffic and disk of one app, or of every app of a node."""
    if bool(app_id) == bool(node):
        raise typer.BadParameter("give an app's id or --node, one of them")
    if app_id:
        app_id_of(app_id)

    async def work(client: AdminClient) -> None:
        found = await (client.node_stats(_node(node)) if node else client.app_stats(app_id))
        listed(output, found.items, _COLUMNS, _row)

    run(work, f"what {f'node {node}' if node else f'app {app_id}'} uses cannot be told")


def _node(name: str) -> str:
    try:
        return _NODE.validate_python(name)
    except ValidationError:
        raise Failure(f"{name!r} is not a node's name", USAGE) from None


def _row(stats: AppStats) -> Row:
    cpu = "–" if stats.cpu_pct is None else f"{stats.cpu_pct:.1f}"
    figures = [stats.memory_bytes, stats.memory_limit_bytes, stats.received_bytes, stats.sent_bytes, stats.disk_bytes]
    memory, limit, received, sent, disk = map(size, figures)
    processes = "–" if stats.processes is None else str(stats.processes)
    container = stats.container if stats.running else f"{stats.container} (not running)"
    texts = (stats.app_id, cpu, memory, limit, processes, received, sent, disk, container)
    return Row(stats.app_id, tuple(map(cell, texts)))
