"""The audit log, for operators."""

import orjson
from aiohttp import web

from daemons.deploy.domain.events import Event, Search
from daemons.deploy.domain.views import when
from daemons.deploy.services.audit import NEWEST, Audit
from daemons.kit.bodies import number, query, reply
from daemons.kit.openapi import Answers
from protocol.audit import AuditEntry, AuditPage, AuditQuery


class AuditRoutes:
    """`GET /admin/audit`."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/admin/audit", self.page)]

    @Answers(AuditPage)
    async def page(self, request: web.Request) -> web.Response:
        """A page of changes, newest first."""
        asked, limit = query(request, AuditQuery), number(request, "limit", default=50, low=1, high=200)
        before = number(request, "cursor", default=NEWEST, low=0, high=NEWEST)
        wanted = Search(asked.kind, asked.subject, asked.actor, asked.since or 0)
        found = await self._audit.page(wanted, before, limit)
        cursor = None if found.cursor is None else str(found.cursor)
        return reply(AuditPage(items=tuple(map(_entry, found.items)), next_cursor=cursor))


def _entry(event: Event) -> AuditEntry:
    return AuditEntry(
        seq=event.seq,
        at=when(event.at),
        kind=event.kind,
        change=event.change,
        subject=event.subject,
        actor=event.actor.name,
        source_address=event.actor.address,
        before=orjson.loads(event.before) if event.before else None,
        after=orjson.loads(event.body),
    )
