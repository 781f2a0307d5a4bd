"""`python -m daemons.deploy`: serve; `promote`: go on after a failover of the database; `registry prepare`: make Harbor
ready; `openapi`: print the contract."""

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Final

from daemons.deploy.app import open_app, promote_database
from daemons.deploy.composition.registries import Order, prepare_registry
from daemons.deploy.domain.robots import robot_name
from daemons.deploy.settings import DeploySettings
from daemons.kit.daemon import serve, settings_or_exit
from daemons.kit.openapi import print_contract_if_asked
from daemons.kit.secret_input import read_password

_SECRETS: Final = Path("/etc/funai/registry")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m daemons.deploy", description="Serve the control plane.")
    orders = parser.add_subparsers(dest="what")
    orders.add_parser("promote", help="go on with the database at DEPLOY_DB_URL after a failover")
    registry = orders.add_parser("registry", help="the registry of DEPLOY_REGISTRY_CLEANUP_BASE_URL")
    prepare = registry.add_subparsers(dest="order", required=True).add_parser(
        "prepare",
        help="make project, accounts and nightly garbage collection in Harbor, as far as they are missing; the "
        "administrator's password is the first line of standard input, or of a file",
    )
    prepare.add_argument("--administrator", default="admin", metavar="NAME")
    prepare.add_argument("--password-file", type=Path, default=None)
    prepare.add_argument("--secrets", type=Path, default=_SECRETS, help=f"folder for NAME.env files ({_SECRETS})")
    for option, use in (
        ("--runner", "an account that pushes and pulls (runner)"),
        ("--node", "an account that pulls (runtime)"),
        ("--renew", "give this account a new secret; the old one is refused from then on"),
    ):
        prepare.add_argument(
            option, type=_robot_name, metavar="NAME", action="append", default=[], help=f"{use}; may be repeated"
        )
    known, more = parser.parse_known_args()
    if more:
        # What stands there may be a password, so it is not said again.
        parser.error("there are more arguments than are known; a password is never one")
    return known


def _robot_name(text: str) -> str:
    try:
        return robot_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _order(given: argparse.Namespace) -> Order:
    return Order(
        administrator=given.administrator,
        password=read_password(given.password_file),
        folder=given.secrets,
        runners=given.runner or ["runner"],
        nodes=given.node or ["runtime"],
        control_plane="control-plane",
        renew=given.renew,
    )


if __name__ == "__main__":
    print_contract_if_asked("daemons.deploy")
    arguments = _arguments()
    settings = settings_or_exit(DeploySettings)
    if arguments.what == "promote":
        raise SystemExit(asyncio.run(promote_database(settings)))
    if arguments.what == "registry":
        sys.exit(prepare_registry(settings, _order(arguments)))
    serve(lambda: open_app(settings), host=settings.host, port=settings.port, service=settings.service)
