"""`funai users`: who may log in and as what, what each has of what they may have, and what an admin does with accounts.

A password is typed, or comes on standard input: what stands on a command line can be read by everyone on the machine.
"""

import getpass
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from console.cli.listing import seen
from console.cli.outcome import Failure, run, run_with
from console.cli.output import LimitOption, Output, OutputOption, answered
from console.cli.rows import FilterOption, SortOption, WatchOption, arranged, filled, watch, write
from console.connect import entry
from console.live.plain import line
from console.live.views.users import USERS
from protocol.accounts import (
    AccountView,
    CreateAccount,
    Role,
    SetAccountEnabled,
    SetAccountPassword,
    SetAccountRole,
    user_name,
)
from protocol.client.api import ApiAdminClient
from protocol.client.operator import OperatorClient

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(rich_markup_mode=None, help="Users and their accounts: list them, let them in, give them a role.")
app.add_typer(group, name="users")

User = Annotated[str, typer.Argument(metavar="USER", help="The user's number, or the account's name.")]
RoleArgument = Annotated[Role, typer.Argument(metavar="ROLE", help="user, operator or admin.")]
_PAGE = 1000


@group.callback(invoke_without_command=True)
def users(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Users and their accounts: list them, let them in, give them a role. Without a word they are listed."""
    if context.invoked_subcommand is None:
        ls(output)


@group.command()
def ls(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 1000,
    words: FilterOption = "",
    sort: SortOption = "",
    watched: WatchOption = False,
) -> None:
    """List users: role, last login, how many of the apps that they may have they have, and where their workspace is."""

    async def work(client: OperatorClient) -> None:
        arrangement = arranged(USERS, words, sort)
        if watched:
            await watch(client, USERS, arrangement, output, limit)
        model = await seen(client, USERS, limit)
        write(filled(USERS, model, arrangement), output, limit)

    run(work, "users cannot be listed")


@group.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the user logs in with.")],
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.USER,
    user: Annotated[
        str | None, typer.Option("--user", metavar="ID", help="A user who is there without an account.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make an account. The password is asked for twice; without a terminal it is the first line of standard input."""
    wanted = _name(name)
    order = CreateAccount(user_name=wanted, password=_password(), role=role, user_id=user)
    _change(lambda client: client.create_account(order), f"user {wanted} was not made", "was made", output)


@group.command()
def enable(user: User, output: OutputOption = Output.TABLE) -> None:
    """Let a user log in again."""
    _enable(user, output, enabled=True)


@group.command()
def disable(user: User, output: OutputOption = Output.TABLE) -> None:
    """Let a user log in no more: sessions, API keys and tokens are refused from then on; apps go on."""
    _enable(user, output, enabled=False)


@group.command()
def role(user: User, new: RoleArgument, output: OutputOption = Output.TABLE) -> None:
    """Let a user be something else; sessions of theirs end."""

    async def change(client: ApiAdminClient) -> AccountView:
        return await client.set_account_role(SetAccountRole(user_id=await _number(client, user), role=new))

    _change(change, f"user {user} was not changed", f"is {new.value} now", output)


@group.command()
def password(user: User, output: OutputOption = Output.TABLE) -> None:
    """Give a user another password, asked for twice; without a terminal it is the first line of standard input."""
    given = _password()

    async def change(client: ApiAdminClient) -> AccountView:
        order = SetAccountPassword(user_id=await _number(client, user), password=given)
        return await client.set_account_password(order)

    _change(change, f"the password of user {user} was not set", "has another password", output)


def _enable(user: str, output: Output, *, enabled: bool) -> None:
    async def change(client: ApiAdminClient) -> AccountView:
        return await client.enable_account(SetAccountEnabled(user_id=await _number(client, user), enabled=enabled))

    done = "can log in again" if enabled else "cannot log in any more"
    _change(change, f"user {user} was not changed", done, output)


def _change(change: Callable[[ApiAdminClient], Awaitable[AccountView]], failed: str, done: str, output: Output) -> None:
    async def work(client: ApiAdminClient) -> None:
        account = await change(client)
        answered(output, account, f"user {account.user_id} ({line(account.user_name)}) {done}")

    run_with(entry, work, failed)


async def _number(client: ApiAdminClient, user: str) -> str:
    """The user's number, also of who is called by name. Raises Failure, ClientError."""
    if user.isdecimal():
        return user
    found, offset = _name(user), 0
    while page := await client.accounts(offset, _PAGE):
        for account in page:
            if account.user_name == found:
                return str(account.user_id)
        offset += len(page)
    raise Failure(f"there is no account {found}; see funai users ls")


def _name(text: str) -> str:
    try:
        return user_name(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: it {error}", param_hint="NAME") from None


def _password() -> str:
    """Typed twice, and shown nowhere. Raises typer.Exit, BadParameter."""
    if not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\n")
    else:
        given = getpass.getpass("Password: ")
        if given != getpass.getpass("The same again: "):
            raise typer.BadParameter("the two are not the same", param_hint="password")
    if not given:
        raise typer.BadParameter("is empty", param_hint="password")
    return given
