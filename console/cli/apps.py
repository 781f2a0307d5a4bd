"""`funai apps`: every user's apps, and what an operator does with one in its owner's name."""

import sys
import uuid
from typing import Annotated

import typer

from console.cli.actions import ConfigOption, FollowOption, ImageOption, RefOption, config_of, started
from console.cli.databases import db
from console.cli.listing import list_view
from console.cli.one_app import delete, show
from console.cli.operations import NodeOption
from console.cli.outcome import USAGE, Failure, run
from console.cli.output import LimitOption, Output, OutputOption, answered
from console.cli.releases import AppArgument, ToOption, releases
from console.cli.rows import FilterOption, SortOption, WatchOption
from console.cli.running import app_logs
from console.live.order import InvalidOrder, owners_order
from console.live.plain import line
from console.live.views.apps import APPS, AppRow
from protocol.client.operator import OperatorClient

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    rich_markup_mode=None,
    help="Every user's apps: list them, show one, deploy it in its owner's name, roll it back, stop or delete it.",
)
app.add_typer(group, name="apps")
UserOption = Annotated[str | None, typer.Option("--user", metavar="ID", help="Only those of this user.")]


@group.callback(invoke_without_command=True)
def apps(
    context: typer.Context,
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    node: NodeOption = None,
    user: UserOption = None,
) -> None:
    """Every user's apps: list them, show one, deploy it in its owner's name, roll it back, stop or delete it. Without a
    word they are listed."""
    if context.invoked_subcommand is None:
        ls(output, limit, node, user)


@group.command()
def ls(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    node: NodeOption = None,
    user: UserOption = None,
    words: FilterOption = "",
    sort: SortOption = "",
    watch: WatchOption = False,
) -> None:
    """List apps: whose each is, how it stands, what runs of it, and what it waits for."""

    def wanted(row: AppRow) -> bool:
        return node in (None, row.node_id) and user in (None, row.user_id)

    list_view(APPS, output, limit, (words, sort), watch=watch, scope=wanted)


@group.command()
def deploy(
    app_id: AppArgument,
    ref: RefOption = "",
    image: ImageOption = "",
    config: ConfigOption = None,
    follow: FollowOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Deploy an app as its owner would: what is not given is as in its newest job, and the owner's limits hold."""
    configured = config_of(config) if config is not None else None

    async def work(client: OperatorClient) -> None:
        newest = await client.of_app(app_id, 1)
        try:
            wanted = owners_order(newest[0].payload if newest else None, ref, image, configured)
        except InvalidOrder as problem:
            raise Failure(f"{problem.field} {problem.message}", USAGE) from None
        job = await client.api_plane.deploy_for_owner(app_id, wanted, idempotency_key=uuid.uuid4().hex)
        await started(client, job, output, follow=follow)

    run(work, f"app {app_id} was not deployed")


@group.command()
def rollback(
    app_id: AppArgument,
    to: ToOption = None,
    follow: FollowOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Go back to an earlier release of an app, as its owner would; nothing is built."""

    async def work(client: OperatorClient) -> None:
        job = await client.api_plane.roll_back_for_owner(app_id, to, idempotency_key=uuid.uuid4().hex)
        sys.stderr.write(f"funai: back to release {job.release}; its image is in the {job.present_in.value}\n")
        await started(client, job, output, follow=follow)

    run(work, f"app {app_id} was not rolled back")


@group.command()
def stop(app_id: AppArgument, output: OutputOption = Output.TABLE) -> None:
    """Stop an app as its owner would, and free the owner's place."""

    async def work(client: OperatorClient) -> None:
        done = await client.api_plane.stop_for_owner(app_id)
        said = f"app {app_id} of user {done.user_id} is {done.status}"
        answered(output, done, f"{said}: {line(done.message)}" if done.message else said)

    run(work, f"app {app_id} was not stopped")


group.command()(show)
group.command()(delete)
group.command()(releases)
group.command("logs")(app_logs)
group.command("db")(db)
