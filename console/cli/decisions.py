"""`funai cordon|uncordon|collect|reassign|pin|unpin|stop`: a decision about a node, an app or a release."""

from typing import Annotated

import typer

from console.cli import names
from console.cli.outcome import Failure, run
from console.cli.output import Output, OutputOption, answered
from console.cli.releases import AppArgument
from console.live.actions.gate import removed
from protocol.apps import AppCommand
from protocol.client.deploy import AdminClient
from protocol.nodes import NodeView, ReassignApp

app = typer.Typer(rich_markup_mode=None)

NodeArgument = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.", autocompletion=names.nodes)]
NumberArgument = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="A release; see `funai releases APP`.")]


@app.command()
def cordon(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """No new deployments on a node; apps that run there keep running. `funai drain` moves them, too."""
    _set_enabled(node, output, enabled=False)


@app.command()
def uncordon(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """Take a node back: it gets new deployments again."""
    _set_enabled(node, output, enabled=True)


@app.command(hidden=True)
def undrain(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """The name that `uncordon` had before."""
    _set_enabled(node, output, enabled=True)


@app.command()
def collect(node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """Remove images that nobody needs from a node's disk, and cut oversized logs; what runs stays."""

    async def work(client: AdminClient) -> None:
        done = await client.collect(node)
        answered(output, done, f"node {node} {removed(done)}")

    run(work, f"node {node} was not tidied")


@app.command()
def reassign(app_id: AppArgument, node: NodeArgument, output: OutputOption = Output.TABLE) -> None:
    """Move one app's placement; its container follows with the app's next deployment."""

    async def work(client: AdminClient) -> None:
        target = await _node(client, node)
        await client.reassign(ReassignApp(app_id=app_id, target_node_id=target.node_id))
        said = f"app {app_id} belongs to node {target.name} now; deploy it to have it run there"
        answered(output, {"appId": app_id, "node": target.name, "nodeId": target.node_id}, said)

    run(work, f"app {app_id} was not reassigned")


@app.command()
def pin(app_id: AppArgument, number: NumberArgument, output: OutputOption = Output.TABLE) -> None:
    """Keep a release's image for good."""
    _pin(app_id, number, output, pinned=True)


@app.command()
def unpin(app_id: AppArgument, number: NumberArgument, output: OutputOption = Output.TABLE) -> None:
    """Keep a release's image only as long as it is one of the newest."""
    _pin(app_id, number, output, pinned=False)


@app.command()
def stop(
    app_id: AppArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: visitors of the app will find nothing there.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Stop an app where it runs; the next deployment starts it again."""
    if not yes:
        typer.confirm(f"Stop app {app_id}? Its visitors will find nothing there.", abort=True, err=True)

    async def work(client: AdminClient) -> None:
        owner = (await client.app(app_id)).user_id
        if owner is None:
            raise Failure(f"the owner of app {app_id} is not known, so nobody can be asked to stop it")
        stopped = await client.stop_app(AppCommand(user_id=owner, app_id=app_id))
        pending = "; its node has not done it yet and is asked again until it has" if stopped.pending else ""
        answered(output, stopped, f"app {app_id} is {'to be ' if stopped.pending else ''}stopped{pending}")

    run(work, f"app {app_id} was not stopped")


async def _node(client: AdminClient, name: str) -> NodeView:
    for each in await client.nodes():
        if each.name == name:
            return each
    raise Failure(f"there is no node {name}; see `funai nodes`")


def _pin(app_id: str, number: int, output: Output, *, pinned: bool) -> None:
    async def work(client: AdminClient) -> None:
        release = await client.pin_release(app_id, number, pinned=pinned)
        kept = "is kept for good" if release.pinned else "is kept as long as it is one of the newest"
        answered(output, release, f"release {release.number} of app {app_id} {kept}")

    run(work, f"release {number} of app {app_id} was not changed")


def _set_enabled(node: str, output: Output, *, enabled: bool) -> None:
    async def work(client: AdminClient) -> None:
        await client.set_enabled(node, enabled=enabled)
        takes = "takes new deployments again" if enabled else "takes no new deployments; apps that run keep running"
        answered(output, {"node": node, "enabled": enabled}, f"node {node} {takes}")

    run(work, f"node {node} was not changed")
