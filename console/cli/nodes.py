"""`funai node delete`: the end of a node."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from console.cli import names
from console.cli.outcome import run
from console.cli.output import Output, OutputOption, answered
from console.live.words import tn
from protocol.client.deploy import AdminClient

app = typer.Typer(rich_markup_mode=None)


class Verb(StrEnum):
    """What to do about a node."""

    DELETE = "delete"


@app.command()
def node(
    verb: Annotated[Verb, typer.Argument()],
    name: Annotated[str, typer.Argument(metavar="NODE", help="The node's name.", autocompletion=names.nodes)],
    force: Annotated[
        bool, typer.Option("--force", help="Also when apps live there or it has something to do: that is given up.")
    ] = False,
    readmit: Annotated[
        bool, typer.Option("--readmit", help="Let its agent register anew when it calls; else it is refused.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delete a node that is disabled and that nothing hangs on."""

    async def work(client: AdminClient) -> None:
        gone = await client.delete_node(name, force=force, readmit=readmit)
        said = [f"node {gone.node.name} is deleted"]
        if gone.apps:
            left, apps = len(gone.apps), " ".join(gone.apps)
            said.append(
                tn("{count} app has no node now: {apps}", "{count} apps have no node now: {apps}", left, apps=apps)
            )
        if gone.operations:
            numbers = " ".join(map(str, gone.operations))
            said.append(
                tn(
                    "{count} operation is given up: {numbers}",
                    "{count} operations are given up: {numbers}",
                    len(gone.operations),
                    numbers=numbers,
                )
            )
        answered(output, gone, "\n".join(said))
        if not gone.readmitted:
            sys.stderr.write("funai: its agent is refused from now on; POST /admin/runtime-nodes/upsert lets it back\n")

    run(work, f"node {name} was not {verb.value}d")
