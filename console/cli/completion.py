"""`funai completion bash|zsh|fish`, and what those scripts ask while somebody presses Tab.

Typer's own machinery answers; only the module of the command that is being typed is loaded. Nothing is ever written to
standard error: a shell would put it into the middle of what is typed.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from typer._completion_classes import completion_init
from typer._completion_shared import get_completion_script

app = typer.Typer(rich_markup_mode=None)
#: Set by the scripts, as Typer writes them.
VARIABLE: Final = "_FUNAI_COMPLETE"
_ASK: Final = "complete_"


class Shell(StrEnum):
    """Shells with a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="Which shell.")]) -> None:
    """Write the script that makes a shell complete `funai`, with live names: `source <(funai completion bash)`."""
    sys.stdout.write(get_completion_script(prog_name="funai", complete_var=VARIABLE, shell=shell.value) + "\n")


def answer(places: Mapping[str, str], assemble: Callable[[Iterable[str]], typer.Typer]) -> None:
    """Answer a shell that asks, with exit code 0 whatever happens."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - until the process ends, which is soon
    completion_init()
    place = places.get(typed(os.environ))
    ready = assemble((place,)) if place else _of_names(places, assemble)
    try:
        ready(prog_name="funai")
    except OSError:
        raise SystemExit(0) from None


def typed(environ: Mapping[str, str]) -> str:
    """The command, once the word after it is being typed; else nothing."""
    line = environ.get("COMP_WORDS") or environ.get("_TYPER_COMPLETE_ARGS", "")
    words = line.split()
    ended = line.endswith((" ", "\n"))
    return words[1] if len(words) > 2 or (len(words) == 2 and ended) else ""


def _of_names(places: Mapping[str, str], assemble: Callable[[Iterable[str]], typer.Typer]) -> typer.Typer:
    """All commands by name, without what they do."""
    names = assemble(())
    for name in places:
        names.command(name)(_nothing)
    return names


def _nothing() -> None:
    """Stands for a command whose name is offered."""
