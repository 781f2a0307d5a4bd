"""`funai screenshot VIEW`: a picture of the console on live data."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from console.cli import names
from console.cli.listing import named
from console.live.themes import THEMES

app = typer.Typer(rich_markup_mode=None)
_KINDS: Final = (".svg", ".png")


@app.command()
def screenshot(
    view: Annotated[str, typer.Argument(metavar="VIEW", help="Which one.", autocompletion=names.views)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it: .svg, or .png by Chromium.")
    ],
    size: Annotated[str, typer.Option(metavar="COLUMNSxROWS")] = "120x40",
    theme: Annotated[str, typer.Option(metavar="NAME", help=", ".join(THEMES))] = "",
) -> None:
    """Draw a view of the console, on live data, into a file."""
    if not re.fullmatch(r"[1-9]\d{1,2}x[1-9]\d{1,2}", size):
        raise typer.BadParameter("must be COLUMNSxROWS, each from 10 to 999", param_hint="--size")
    if output.suffix not in _KINDS:
        raise typer.BadParameter(f"must end in {' or '.join(_KINDS)}", param_hint="--output")
    if theme and theme not in THEMES:
        raise typer.BadParameter(f"must be one of {', '.join(THEMES)}", param_hint="--theme")
    argv = [sys.executable, "-m", "console.screenshot", named(view).name, str(output), *size.split("x"), theme]
    raise typer.Exit(subprocess.run(argv, check=False).returncode)
