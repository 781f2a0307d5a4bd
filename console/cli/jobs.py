"""`funai jobs`: the command that is asked for most, so it loads nothing that jobs do not need."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from console.cli import names
from console.cli.outcome import run, run_with
from console.cli.output import LimitOption, Output, OutputOption
from console.cli.rows import FilterOption, SortOption, WatchOption, arranged, filled, watch, write
from console.connect import jobs as reads
from console.live.keyed import Keyed
from console.live.model import Model
from console.live.views.jobs import JOBS
from protocol.client.jobs import JobReads
from protocol.jobs import JobStatus, JobView

if TYPE_CHECKING:
    from protocol.client.operator import OperatorClient

app = typer.Typer(rich_markup_mode=None)
_PAGE: Final = 200


@app.command()
def jobs(
    output: OutputOption = Output.TABLE,
    limit: LimitOption = 50,
    everything: Annotated[bool, typer.Option("--all", help="As many as there are, whatever --limit says.")] = False,
    status: Annotated[JobStatus | None, typer.Option(help="Only jobs in this state.")] = None,
    app_id: Annotated[
        str, typer.Option("--app", metavar="APP", help="Only jobs of this app.", autocompletion=names.apps)
    ] = "",
    user: Annotated[str, typer.Option(metavar="ID", help="Only jobs of this user.")] = "",
    words: FilterOption = "",
    sort: SortOption = "",
    follow: WatchOption = False,
) -> None:
    """List jobs, newest first."""

    def wanted(job: JobView) -> bool:
        return status in (None, job.status) and app_id in ("", job.app_id) and user in ("", job.user_id)

    async def go_on(client: "OperatorClient") -> None:
        await watch(client, JOBS, arranged(JOBS, words, sort, wanted), output, limit)

    async def once(client: JobReads) -> None:
        arrangement = arranged(JOBS, words, sort, wanted)
        found = await _newest(client, None if everything else limit, status, app_id or None, user or None)
        model = Model(0, (await client.health()).timestamp, heard_at=0, snapshot_at=0, jobs=Keyed(found))
        write(filled(JOBS, model, arrangement), output, len(found))

    failed = "jobs cannot be listed"
    if follow:
        run(go_on, failed)
    else:
        run_with(reads, once, failed)


async def _newest(
    client: JobReads, most: int | None, status: JobStatus | None, app_id: str | None, user_id: str | None
) -> Mapping[str, JobView]:
    """So many jobs, newest first; without a number all of them."""
    found, cursor = dict[str, JobView](), None
    while True:
        size = _PAGE if most is None else min(_PAGE, most - len(found))
        page = await client.page(cursor=cursor, limit=size, status=status, app_id=app_id, user_id=user_id)
        found |= {job.id: job for job in page.items}
        cursor = page.next_cursor
        if cursor is None or (most is not None and len(found) >= most):
            return found
