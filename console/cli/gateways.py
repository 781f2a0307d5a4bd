"""Gateways' configurations, which another program of this installation renders."""

import os
import sys

import typer

app = typer.Typer(rich_markup_mode=None)
gateway = typer.Typer(help="Configurations of the platform's gateways.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(gateway, name="gateway")


@gateway.callback()
def _group() -> None:
    """Makes `gateway` a group with one command in it."""


@gateway.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def render(context: typer.Context) -> None:
    """Print a gateway's configuration, or write it: --kind nginx|haproxy|traefik --role entry|workspace|runtime."""
    argv = (sys.executable, "-m", "daemons.kit.gateway_rendering", *context.args)
    os.execv(argv[0], argv)  # noqa: S606 - the same program, another module
