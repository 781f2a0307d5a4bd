"""`funai audit`: who changed what, when and from where."""

from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from console.cli.outcome import run
from console.cli.output import Output, OutputOption, listed
from console.live.cells import Column, Row, cell
from protocol.audit import AuditEntry, AuditQuery
from protocol.client.deploy import AdminClient

app = typer.Typer(rich_markup_mode=None)
_PAGE: Final = 200
_COLUMNS: Final = (
    Column("NUMBER", 6, right=True),
    Column("WHEN (UTC)", 19),
    Column("ACTOR", 14),
    Column("FROM", 12),
    Column("KIND", 9),
    Column("CHANGE", 10),
    Column("SUBJECT", 12),
    Column("BEFORE > AFTER", 40, flex=True),
)


@app.command()
def audit(
    kind: Annotated[
        str,
        typer.Option(metavar="KIND", help="job, node, placement, app, operation, drain, webhook, shell or database."),
    ] = "",
    subject: Annotated[str, typer.Option(metavar="ID", help="Of this job, node, app or operation.")] = "",
    actor: Annotated[str, typer.Option(metavar="WHO", help="By admin, api, runner:ID, node:NAME, reaper ...")] = "",
    since: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", help="Not before this time (UTC).", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=5000, help="At most so many rows.")] = 50,
    output: OutputOption = Output.TABLE,
) -> None:
    """List changes, newest first, with their author and address."""
    moment = int(since.replace(tzinfo=UTC).timestamp() * 1000) if since else None
    wanted = AuditQuery(kind=kind or None, subject=subject or None, actor=actor or None, since=moment)

    async def work(client: AdminClient) -> None:
        listed(output, await _found(client, wanted, limit), _COLUMNS, _row)

    run(work, "the audit log cannot be read")


async def _found(client: AdminClient, wanted: AuditQuery, limit: int) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    cursor: str | None = None
    while len(found) < limit:
        page = await client.audit(wanted, cursor=cursor, limit=min(_PAGE, limit - len(found)))
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _row(entry: AuditEntry) -> Row:
    cells = (
        cell(str(entry.seq)),
        cell(f"{entry.at:%Y-%m-%d %H:%M:%S}"),
        cell(entry.actor),
        cell(entry.source_address),
        cell(entry.kind),
        cell(entry.change),
        cell(entry.subject),
        cell(_difference(entry)),
    )
    return Row(str(entry.seq), cells)


def _difference(entry: AuditEntry) -> str:
    """What changed, by key; only in the words of values that are short."""
    before, after = entry.before or {}, entry.after or {}
    changed = [key for key in before if key in after and before[key] != after[key]]
    return ", ".join(f"{key}: {_short(before[key])} > {_short(after[key])}" for key in changed)


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
