"""`python -m daemons.api`: serve; `python -m daemons.api users add NAME`: make an account, as the first admin's;
`python -m daemons.api openapi`: print the contract."""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Final

from daemons.api.app import build
from daemons.api.composition.accounts import account_parts
from daemons.api.composition.first_account import add_account
from daemons.api.settings import ApiSettings
from daemons.kit.daemon import open_more_files, serve, settings_or_exit
from daemons.kit.openapi import print_contract_if_asked
from daemons.kit.secret_input import read_password
from protocol.accounts import Role

#: Each line that is passed on is two sockets; as many as the unit allows.
_FILES: Final = 65_536


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m daemons.api", description="Serve the API, or look after accounts.")
    users = parser.add_subparsers(dest="what").add_parser("users", help="accounts, in the database of API_DB_URL")
    add = users.add_subparsers(dest="order", required=True).add_parser(
        "add", help="make an account; its password is the first line of standard input, or of a file"
    )
    add.add_argument("name")
    add.add_argument("--role", choices=[role.value for role in Role], default=Role.USER.value)
    add.add_argument("--user-id", type=int, default=None, help="of a user who is there without an account")
    add.add_argument("--password-file", type=Path, default=None)
    known, more = parser.parse_known_args()
    if more:
        # What stands there may be a password, so it is not said again.
        parser.error("there are more arguments than are known; a password is never one")
    return known


if __name__ == "__main__":
    print_contract_if_asked("daemons.api")
    given = _arguments()
    settings = settings_or_exit(ApiSettings)
    if given.what is None:
        open_more_files(_FILES)
        serve(partial(build, settings), host=settings.host, port=settings.port, service=settings.service)
    else:
        password = read_password(given.password_file)
        url, hardness = settings.db_url.get_secret_value(), account_parts(settings).hardness
        sys.exit(add_account(url, hardness, given.name, password, Role(given.role), given.user_id))
