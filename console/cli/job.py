"""`funai job`: one job, how it stands and what each of its attempts did."""

from datetime import datetime
from typing import Final

import typer

from console.cli.actions import JobArgument, find
from console.cli.outcome import run
from console.cli.output import Output, OutputOption, answered, table, terminal_width
from console.live.cells import seconds_between, span
from console.live.plain import line
from console.live.stages import STAGE_COLUMNS, stage_rows
from console.live.views.jobs import why
from console.live.words import tn
from protocol.client.deploy import AdminClient
from protocol.jobs import JobView

app = typer.Typer(rich_markup_mode=None)
_NAME: Final = "{:<9}"


@app.command()
def job(job: JobArgument, output: OutputOption = Output.TABLE) -> None:
    """Show a job: how it stands, why, and what each stage of its attempts took and made."""

    async def work(client: AdminClient) -> None:
        found, now = await find(client, job), (await client.health()).timestamp
        text = "\n".join(_facts(found, now))
        if found.stages:
            text += "\n\n" + table(STAGE_COLUMNS, stage_rows(found.stages, now), terminal_width())
        answered(output, found, text)

    run(work, f"job {job} cannot be shown")


def _returned(job: JobView) -> str:
    return tn(
        "{count} time, by {runner}, which was stopped",
        "{count} times, last by {runner}, which was stopped",
        job.returns or 0,
        runner=job.returned_by,
    )


def _facts(job: JobView, now: datetime) -> list[str]:
    source = job.payload.image or " of ".join(filter(None, (job.payload.git_ref, job.payload.repo_ssh_url)))
    facts = {
        "job": job.id,
        "app": f"{job.app_id} of user {job.user_id}",
        "status": f"{job.status.value}{f': {line(why(job))}' if why(job) else ''}",
        "attempt": f"{job.attempt}{f' on {job.runner_id}' if job.runner_id else ''}" if job.attempt else "",
        "returned": _returned(job) if job.returns else "",
        "age": span(seconds_between(now, job.created_at)),
        "source": source,
        "commit": job.commit or "",
        "image": job.image or "",
    }
    return [f"{_NAME.format(name)}{line(text)}" for name, text in facts.items() if text]
