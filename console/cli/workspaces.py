"""`funai workspaces`: users' workspaces, the nodes that they live on, and what an operator does with them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from console.cli.outcome import USAGE, Failure, run_with
from console.cli.output import LimitOption, Output, OutputOption, answered
from console.cli.rows import FilterOption, SortOption, arranged, filled, write
from console.cli.workspace_copy import copy
from console.cli.workspace_exec import attached
from console.connect import workspaces as connected
from console.live import topics
from console.live.beside import Beside, Fetched
from console.live.cells import size
from console.live.keyed import Keyed
from console.live.model import Model
from console.live.plain import PlainText, line
from console.live.views.spec import ViewSpec
from console.live.views.workspaces import WORKSPACE_NODES, WORKSPACES
from protocol.base import Wire
from protocol.client.workspace_admin import WorkspaceAdminClient
from protocol.workspace_moves import WorkspaceMove, WorkspaceMoveState
from protocol.workspace_nodes import WorkspaceNodeView
from protocol.workspace_operators import MOST_ASKED, WorkspaceStanding

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(rich_markup_mode=None, help="Users' workspaces: list them, run something in one, move them.")
app.add_typer(group, name="workspaces")

User = Annotated[str, typer.Argument(metavar="USER", help="Whose workspace: the user's number.")]
AppOption = Annotated[str | None, typer.Option("--app", metavar="APP", help="In this app's folder.")]
_LOOK_SECONDS: Final = 1.0
_OVER: Final = frozenset(
    {
        WorkspaceMoveState.KEEPING,
        WorkspaceMoveState.DONE,
        WorkspaceMoveState.FAILED,
        WorkspaceMoveState.CANCELLED,
    }
)
_UNDONE: Final = frozenset({WorkspaceMoveState.FAILED, WorkspaceMoveState.CANCELLED})


@group.callback(invoke_without_command=True)
def workspaces(context: typer.Context) -> None:
    """Users' workspaces: list them, run something in one, move them. Without a word they are listed."""
    if context.invoked_subcommand is None:
        ls()


@group.command()
def ls(
    node: Annotated[str | None, typer.Option("--node", metavar="NODE", help="Only users of this node.")] = None,
    limit: LimitOption = 1000,
    words: FilterOption = "",
    sort: SortOption = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """List users' workspaces: where each lives, how it stands and what it uses."""

    async def work(client: WorkspaceAdminClient) -> None:
        nodes = await _nodes(client, node)
        found = [each async for each in _standings(client, nodes, limit)]
        _listed(WORKSPACES, topics.WORKSPACES, {each.user_id: each for each in found}, (words, sort), output, limit)

    run_with(connected, work, "workspaces cannot be listed")


@group.command()
def nodes(
    limit: LimitOption = 1000, words: FilterOption = "", sort: SortOption = "", output: OutputOption = Output.TABLE
) -> None:
    """List workspace nodes with their load and what speaks against new users there."""

    async def work(client: WorkspaceAdminClient) -> None:
        found = {str(each.node_id): each for each in await _nodes(client, None)}
        _listed(WORKSPACE_NODES, topics.WORKSPACE_NODES, found, (words, sort), output, limit)

    run_with(connected, work, "workspace nodes cannot be listed")


@group.command()
def start(user: User, output: OutputOption = Output.TABLE) -> None:
    """Start a user's container."""

    async def work(client: WorkspaceAdminClient) -> None:
        done = await client.start_workspace(user)
        answered(output, done, f"The workspace of user {user} runs on {line(done.node)}.")

    run_with(connected, work, f"the workspace of user {user} was not started")


@group.command()
def stop(user: User, output: OutputOption = Output.TABLE) -> None:
    """Stop a user's container: what runs in it ends, files stay, and its next use starts it again."""

    async def work(client: WorkspaceAdminClient) -> None:
        done = await client.stop_workspace(user)
        said = f"The workspace of user {user} on {line(done.node)} is {done.container_status.value}."
        answered(output, done, said)

    run_with(connected, work, f"the workspace of user {user} was not stopped")


@group.command("exec", context_settings={"ignore_unknown_options": True})
def execute(
    user: User,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[-- COMMAND...]", help="Instead of a shell.", show_default=False)
    ] = None,
    app_id: AppOption = None,
) -> None:
    """Open a shell in a user's workspace, or run a command there; its exit code becomes this one's. Ctrl-] leaves.

    Without a terminal its streams are those of this process. The API's log keeps who ran what, not what was typed.
    """
    codes: list[int] = []

    async def work(client: WorkspaceAdminClient) -> None:
        codes.append(await attached(client, user, app_id, tuple(command or ())))

    run_with(connected, work, f"nothing was run in the workspace of user {user}")
    raise typer.Exit(codes[0])


@group.command()
def logs(
    user: User,
    app_id: AppOption = None,
    kind: Annotated[str, typer.Option("--type", help="PREVIEW, BUILD or INSTALL.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows, until it ends.")] = False,
) -> None:
    """Write the newest log of a user's app: of what it runs now, or of the app and type that are named."""

    async def work(client: WorkspaceAdminClient) -> None:
        wanted, of = await _log_of(client, user, app_id, kind)
        plain = PlainText()
        if not follow:
            _out(plain.feed((await client.workspace_log(user, wanted, of)).log.encode(), last=True))
            return
        async for text in client.follow_workspace_log(user, wanted, of):
            _out(plain.feed(text.encode()))
        _out(plain.feed(b"", last=True))

    run_with(connected, work, f"the log of user {user} cannot be read")


@group.command()
def cp(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A path here, or USER:PATH.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="USER:PATH, or a path here.")],
) -> None:
    """Copy a file or folder from or to a user's workspace; paths there begin at /workspace: 7:apps/20001/src.

    Links are neither followed nor copied; what is there already is replaced file by file.
    """

    async def work(client: WorkspaceAdminClient) -> None:
        await copy(client, source, target)

    run_with(connected, work, "nothing, or not all, was copied")


@group.command()
def migrate(
    user: User,
    to: Annotated[str | None, typer.Option("--to", metavar="NODE", help="Where to; else the API chooses.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Until it is over; says how it goes.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Move a user's workspace, with all that is in it, to another node."""

    async def work(client: WorkspaceAdminClient) -> None:
        target = (await _nodes(client, to))[0].node_id if to is not None else None
        move = await client.start_move(user, target)
        if wait:
            move = await _waited(client, move)
        answered(output, move, f"Move {move.move_id} of user {user}: {_told(move)}.")
        if move.state in _UNDONE:
            raise Failure(f"the workspace of user {user} stays on {line(move.source_node)}: {line(move.error)}")

    run_with(connected, work, f"the workspace of user {user} was not moved")


async def _nodes(client: WorkspaceAdminClient, name: str | None) -> list[WorkspaceNodeView]:
    every = (await client.nodes()).nodes
    wanted = [each for each in every if name in (None, each.name)]
    if name is not None and not wanted:
        raise Failure(f"there is no workspace node {name}; see funai workspaces nodes", USAGE)
    return wanted


async def _standings(
    client: WorkspaceAdminClient, nodes: list[WorkspaceNodeView], limit: int
) -> AsyncIterator[WorkspaceStanding]:
    """At most so many workspaces, node by node."""
    left = limit
    for node in nodes:
        seen = 0
        while left > 0:
            page = await client.workspaces(node.node_id, seen, min(MOST_ASKED, left))
            for each in page.items:
                yield each
            seen, left = seen + len(page.items), left - len(page.items)
            if not page.items or seen >= page.total:
                break


def _listed(
    view: ViewSpec[Any], topic: str, found: Mapping[str, Wire], order: tuple[str, str], output: Output, limit: int
) -> None:
    now = datetime.now(UTC)  # noqa: TID251 - ages are for people; no decision is made of them
    beside = Beside().with_topic(topic, Fetched(Keyed(found), 0, 0))
    model = Model(seq=0, at=now, heard_at=0, snapshot_at=0, beside=beside)
    write(filled(view, model, arranged(view, *order)), output, limit)


async def _log_of(client: WorkspaceAdminClient, user: str, app_id: str | None, kind: str) -> tuple[str, str]:
    """Which app's log of which type."""
    run = await client.workspace_run(user)
    wanted, of = app_id or run.app_id, kind.upper() or (run.type.value if run.type else "PREVIEW")
    if wanted is None:
        raise Failure(f"user {user} runs nothing; name an app with --app", USAGE)
    if of not in ("PREVIEW", "START", "DEV", "BUILD", "INSTALL"):
        raise Failure("--type must be PREVIEW, BUILD or INSTALL", USAGE)
    return wanted, of


async def _waited(client: WorkspaceAdminClient, move: WorkspaceMove) -> WorkspaceMove:
    before = ""
    while move.state not in _OVER:
        said = _told(move)
        if said != before:
            typer.echo(said, err=True)
            before = said
        await asyncio.sleep(_LOOK_SECONDS)
        move = await client.move(move.move_id)
    return move


def _told(move: WorkspaceMove) -> str:
    where = f"{line(move.source_node)} → {line(move.target_node or '?')}"
    copied = f"{move.copied_files} files, {size(move.copied_bytes)} copied"
    still = f", stood still for {move.frozen_ms / 1000:.1f} s" if move.frozen_ms is not None else ""
    return f"{move.state.value} {where}, {copied}{still}"


def _out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
