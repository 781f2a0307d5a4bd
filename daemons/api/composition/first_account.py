"""The command that makes an account without anybody who could let one in: for the first admin."""

import asyncio
import sys

from daemons.api.adapters.passwords import Argon2Passwords, Hardness
from daemons.api.adapters.sql.accounts import SqlAccounts
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlUsers
from daemons.api.domain.accounts import Account, AccountExists, UnknownAccount, WeakPassword
from daemons.api.services.accounts import Accounts
from daemons.api.settings import DEMO_USER
from daemons.kit.sql import DatabaseMisconfigured, DatabaseUnavailable, migrate, open_database
from protocol.accounts import Role, user_name


def add_account(url: str, hardness: Hardness, name: str, password: str, role: Role, user_id: int | None) -> int:
    """The exit code: 0, or 1 with what is wrong on standard error."""
    try:
        account = asyncio.run(_add(url, hardness, user_name(name), password, role, user_id))
    except (AccountExists, UnknownAccount, WeakPassword, DatabaseMisconfigured, DatabaseUnavailable) as error:
        sys.stderr.write(f"no account was made: {error}\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"no account was made: the name {error}\n")
        return 1
    sys.stdout.write(f"user {account.user_id}, {account.name}, {account.role.value}\n")
    return 0


async def _add(url: str, hardness: Hardness, name: str, password: str, role: Role, user_id: int | None) -> Account:
    passwords = Argon2Passwords(hardness)
    try:
        async with open_database(url, QUERIES) as database:
            await migrate(database, COMPONENT, MIGRATIONS)
            # Its id is the first there is, and must not become somebody else's.
            await SqlUsers(database).ensure(DEMO_USER, "demo")
            return await Accounts(SqlAccounts(database), passwords).create(name, password, role, user_id)
    finally:
        await passwords.close()
