"""The audit log: who changed what, when, from where, and what it was before."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from protocol.base import Wire


class AuditEntry(Wire):
    """One change. `kind` is job, node, runner, placement, app, operation, shell or database, `subject` its id (of a
    shell and of a database its app's); `actor` a kind of caller, a runner (`runner:ID`), a node (`node:NAME`) or a part
    of the control plane, which has no `sourceAddress`.

    `after` is the object as it was shown from then on, null when it was removed; `before` what it was, of a job only
    what changed, null when there was nothing (and in entries of releases that did not record it).
    """

    seq: int
    at: AwareDatetime
    kind: str
    change: str
    subject: str
    actor: str
    source_address: str | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None


class AuditPage(Wire):
    """Entries, newest first. `nextCursor` leads to older ones, also from a page without entries: each page looks at a
    bounded part of the log."""

    items: tuple[AuditEntry, ...]
    next_cursor: str | None = None


class AuditQuery(Wire):
    """`GET /admin/audit`: which entries; absent means any. `since` is epoch milliseconds."""

    kind: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: Annotated[int, Field(ge=0, le=2**53)] | None = None
