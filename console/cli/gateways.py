"""Gateways' configurations, which another program of this installation renders."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import typer

app = typer.Typer(rich_markup_mode=None)
gateway = typer.Typer(help="Configurations of the platform's gateways.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(gateway, name="gateway")


_PASSED_ON: Final = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}


@gateway.command(context_settings=_PASSED_ON)
def render(context: typer.Context) -> None:
    """Print a gateway's configuration, or write it: --kind nginx|haproxy|traefik --role entry|workspace|runtime."""
    _become("daemons.kit.gateway_rendering", context.args)


@gateway.command(context_settings=_PASSED_ON)
def follow(context: typer.Context) -> None:
    """Have an entry know the hosts that are apps' own now: render, check, reload. Options: those of render."""
    _become("daemons.kit.gateway_following", context.args)


def _become(module: str, arguments: Sequence[str]) -> None:
    argv = (sys.executable, "-m", module, *arguments)
    os.execv(argv[0], argv)  # noqa: S606 - the same program, another module
