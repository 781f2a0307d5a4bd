"""`funai webhooks`: the results of jobs that the API, or another receiver, is told of."""

import sys
from enum import StrEnum
from typing import Annotated, Final

import typer

from console.cli.outcome import run
from console.cli.output import Output, OutputOption, answered, listed
from console.live.cells import Column, Row, cell
from console.live.plain import line
from protocol.client.deploy import AdminClient
from protocol.webhooks import DeliveryPage, DeliveryState, DeliveryView

app = typer.Typer(rich_markup_mode=None)
_COLUMNS: Final = (
    Column("NUMBER", 6, right=True),
    Column("EVENT", 13),
    Column("APP", 14),
    Column("JOB", 36),
    Column("STATE", 9),
    Column("TRIES", 5, right=True),
    Column("NEXT TRY", 8),
    Column("WHY", 0, flex=True),
)


class Verb(StrEnum):
    """What to do about one delivery."""

    RETRY = "retry"


@app.command()
def webhooks(
    verb: Annotated[Verb | None, typer.Argument(help="What to do about one; without it they are listed.")] = None,
    number: Annotated[int | None, typer.Argument(min=1, help="Which one.")] = None,
    output: OutputOption = Output.TABLE,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=200, help="At most so many rows.")] = 50,
    state: Annotated[DeliveryState | None, typer.Option(help="Only those in this state.")] = None,
    app_id: Annotated[str | None, typer.Option("--app", metavar="ID", help="Only those of this app.")] = None,
) -> None:
    """List the deliveries of job results, newest first; `retry NUMBER` sends one now, also after it was given up."""
    if verb is not None and number is None:
        raise typer.BadParameter("say which one by its number", param_hint="NUMBER")

    async def work(client: AdminClient) -> None:
        if verb is None or number is None:
            _write(output, await client.webhooks(state=state, app_id=app_id, limit=limit))
            return
        sent = await client.retry_webhook(number)
        answered(output, sent, f"delivery {sent.id} of job {sent.job_id} is sent now")

    run(work, f"delivery {number} was not sent again" if verb else "deliveries cannot be listed")


def _write(output: Output, page: DeliveryPage) -> None:
    listed(output, page.items, _COLUMNS, _row)
    if not page.configured:
        sys.stderr.write("no receiver is configured: set DEPLOY_WEBHOOK_URL and DEPLOY_WEBHOOK_SECRET\n")


def _row(view: DeliveryView) -> Row:
    next_try = f"{view.next_attempt_at:%H:%M:%S}" if view.next_attempt_at is not None else ""
    cells = (
        cell(str(view.id)),
        cell(view.event),
        cell(view.app_id),
        cell(view.job_id),
        cell(view.state.value),
        cell(str(view.attempts)),
        cell(next_try),
        cell(line(view.message or "")),
    )
    return Row(str(view.id), cells)
