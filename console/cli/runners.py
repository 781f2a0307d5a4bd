"""`funai runner-drain|runner-undrain`: a runner that gets no more work."""

from typing import Annotated

import typer

from console.cli import names
from console.cli.outcome import run
from console.cli.output import Output, OutputOption, answered
from protocol.client.deploy import AdminClient

app = typer.Typer(rich_markup_mode=None)

RunnerArgument = Annotated[
    str,
    typer.Argument(metavar="RUNNER", help="The runner's name; see `funai runners`.", autocompletion=names.runners),
]


@app.command("runner-drain")
def runner_drain(runner: RunnerArgument, output: OutputOption = Output.TABLE) -> None:
    """Give a runner no more work; what it holds it finishes."""
    _set(runner, output, drained=True)


@app.command("runner-undrain")
def runner_undrain(runner: RunnerArgument, output: OutputOption = Output.TABLE) -> None:
    """Give a runner work again."""
    _set(runner, output, drained=False)


def _set(runner: str, output: Output, *, drained: bool) -> None:
    async def work(client: AdminClient) -> None:
        done = await client.set_drained(runner, drained=drained)
        answered(output, done, f"runner {done.runner_id} gets {'no more work' if drained else 'work again'}")

    run(work, f"runner {runner} was not changed")
