"""Routes that look for something in an app and at what changes in it."""

from collections.abc import AsyncGenerator
from typing import Final

from aiohttp import web

from daemons.kit.bodies import InvalidRequest, reply
from daemons.kit.openapi import EVENTS, Answers
from daemons.kit.sse import Frame, stream
from daemons.workspace.domain.changes import Batch
from daemons.workspace.domain.paths import joined
from daemons.workspace.domain.search import SearchLimits, Wanted
from daemons.workspace.http.callers import named
from daemons.workspace.http.files import PREFIX, asked, shown
from daemons.workspace.ports.files import AppWatch, Watches
from daemons.workspace.services.files import Files
from protocol.workspace_files import ChangeView, FilesChanged, SearchMatch, SearchQuery, SearchView
from protocol.workspaces import AppRef

_ALIVE_SECONDS: Final = 15.0


class ChangeRoutes:
    """Search and events."""

    def __init__(self, files: Files, watches: Watches) -> None:
        self._files = files
        self._watches = watches

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get(f"{PREFIX}/search", self.search),
            web.get(f"{PREFIX}/events", self.events, allow_head=False),
        ]

    @Answers(SearchView, refuses=(403, 404))
    async def search(self, request: web.Request) -> web.Response:
        """Names and lines with a text."""
        ref = named(request, SearchQuery)
        if "\n" in ref.query:
            raise InvalidRequest("query: must be one line", ["query"])
        wanted = Wanted(ref.query, ref.case_sensitive, ref.names, ref.contents)
        limits = SearchLimits.clamped(ref.max_results)
        found = await self._files.search(ref.user_id, ref.app_id, asked(ref.path), wanted, limits)
        matches = tuple(
            SearchMatch(path=shown(joined(match.path)), line=match.line, column=match.column, text=match.text)
            for match in found.matches
        )
        return reply(SearchView(matches=matches, searched_files=found.files, truncated=not found.whole))

    @Answers(FilesChanged, media=EVENTS, endless=True, refuses=(403, 404, 503))
    async def events(self, request: web.Request) -> web.StreamResponse:
        """What changes, as server-sent events: `ready` once everything that changes from then on is told, `changes`,
        and `reload` when the reader must look for itself."""
        ref = named(request, AppRef)
        async with self._watches.watching(ref.user_id, ref.app_id) as watch:
            return await stream(request, _frames(watch))


async def _frames(watch: AppWatch) -> AsyncGenerator[bytes, None]:
    yield Frame("ready", b"{}").wire
    while True:
        try:
            batch = await watch.next(_ALIVE_SECONDS)
        except TimeoutError:
            yield b": alive\n\n"
            continue
        if batch is None:
            return
        yield _frame(batch)


def _frame(batch: Batch) -> bytes:
    if batch.reload:
        return Frame("reload", b"{}").wire
    if not batch.changes:
        return b""
    changes = tuple(ChangeView(path=shown(joined(each.path)), change=each.change.value) for each in batch.changes)
    return Frame("changes", FilesChanged(changes=changes).to_json()).wire
