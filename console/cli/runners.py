"""`funai runner-drain|runner-undrain`: a runner that gets no more work."""

import sys
from typing import Annotated

import typer

from console.cli.outcome import run
from protocol.client.deploy import AdminClient

app = typer.Typer(rich_markup_mode=None)

RunnerArgument = Annotated[str, typer.Argument(metavar="RUNNER", help="The runner's name; see `funai runners`.")]


@app.command("runner-drain")
def runner_drain(runner: RunnerArgument) -> None:
    """Give a runner no more work; what it holds it finishes."""
    _set(runner, drained=True)


@app.command("runner-undrain")
def runner_undrain(runner: RunnerArgument) -> None:
    """Give a runner work again."""
    _set(runner, drained=False)


def _set(runner: str, *, drained: bool) -> None:
    async def work(client: AdminClient) -> None:
        done = await client.set_drained(runner, drained=drained)
        sys.stdout.write(f"runner {done.runner_id} gets {'no more work' if drained else 'work again'}\n")

    run(work, f"runner {runner} was not changed")
