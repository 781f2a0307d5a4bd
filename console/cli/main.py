"""The command `funai`. A command's module is imported when it is named: `funai jobs` starts without the rest."""

import gc
import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Final

import typer

#: Where each command lives: a module with a typer application named `app` that holds a command of that name.
_PLACES: Final[Mapping[str, str]] = {
    "console": "console.cli.launch",
    "up": "console.cli.launch",
    "daemon": "console.cli.launch",
    "init": "console.cli.launch",
    "config": "console.cli.config",
    "smoke": "console.cli.smoke",
    "jobs": "console.cli.jobs",
    "job": "console.cli.job",
    "nodes": "console.cli.listing",
    "node": "console.cli.nodes",
    "placements": "console.cli.listing",
    "runners": "console.cli.listing",
    "apps": "console.cli.apps",
    "users": "console.cli.users",
    "operations": "console.cli.operations",
    "strays": "console.cli.strays",
    "singletons": "console.cli.replicas",
    "deploy": "console.cli.actions",
    "retry": "console.cli.actions",
    "releases": "console.cli.releases",
    "rollback": "console.cli.releases",
    "audit": "console.cli.audit",
    "webhooks": "console.cli.webhooks",
    "cancel": "console.cli.actions",
    "logs": "console.cli.actions",
    "app-logs": "console.cli.running",
    "app-stats": "console.cli.figures",
    "app-shell": "console.cli.shell",
    "cordon": "console.cli.decisions",
    "collect": "console.cli.decisions",
    "uncordon": "console.cli.decisions",
    "undrain": "console.cli.decisions",
    "runner-drain": "console.cli.runners",
    "runner-undrain": "console.cli.runners",
    "drain": "console.cli.drains",
    "drains": "console.cli.drains",
    "drain-pause": "console.cli.drains",
    "drain-resume": "console.cli.drains",
    "drain-undo": "console.cli.drains",
    "drain-cancel": "console.cli.drains",
    "reassign": "console.cli.decisions",
    "pin": "console.cli.decisions",
    "unpin": "console.cli.decisions",
    "stop": "console.cli.decisions",
    "workspaces": "console.cli.workspaces",
    "gateway": "console.cli.gateways",
    "view": "console.cli.listing",
    "schema": "console.cli.schemas",
    "screenshot": "console.cli.pictures",
    "completion": "console.cli.completion",
}
#: Set by a shell that asks how a line goes on.
COMPLETION: Final = "_FUNAI_COMPLETE"
_OWN_OPTIONS: Final = ("--help",)


def assemble(modules: Iterable[str]) -> typer.Typer:
    """One application of all commands in these modules."""
    app = typer.Typer(
        help="Fun AI Studio: the platform, its console and its one-shot commands. Without a command the console opens.",
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_funai)
    for module in modules:
        own: typer.Typer = importlib.import_module(module).app
        app.registered_commands += own.registered_commands
        app.registered_groups += own.registered_groups
    return app


def main() -> None:
    """Entry point of the console script."""
    gc.disable()  # nothing of what is loaded now is garbage
    if COMPLETION in os.environ:
        importlib.import_module("console.cli.completion").answer(_PLACES, assemble)
    arguments = sys.argv[1:] or ["console"]
    if arguments[0].startswith("--") and arguments[0] not in _OWN_OPTIONS:
        arguments = ["console", *arguments]
    place = _PLACES.get(arguments[0])
    ready = assemble((place,) if place else dict.fromkeys(_PLACES.values()))
    gc.enable()
    gc.freeze()
    ready(arguments, prog_name="funai")


def _funai() -> None:
    """Makes `funai` a group even when one module with one command is loaded."""
