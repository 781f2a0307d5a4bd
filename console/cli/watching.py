"""`--watch`: a view as it changes, from the same feed and the same table that the console draws.

For people the table again, at most once a second. For programs what changed: with `ndjson` one document a line
(`funai schema VIEW` has its form), with `csv` one row, both as soon as it is known; with `json` the whole array on one
line. A lost line is said on standard error and taken up again; only an interrupt ends it.
"""

import asyncio
import sys
import time
from itertools import islice
from typing import Any, Final, NoReturn

import orjson

from console.cli.output import Output, say, say_csv, table, terminal_width
from console.live.feed import Feed
from console.live.library import Library
from console.live.model import LinkState, Live, World
from console.live.pages import topics_of
from console.live.plain import line
from console.live.table import Arrangement, Table
from console.live.views.spec import ViewSpec
from protocol.base import Wire
from protocol.client.operator import OperatorClient

#: Of the documents that `--watch --output ndjson` writes; higher when they change in a way that readers notice.
WATCH_VERSION: Final = 1
_TABLE_SECONDS: Final = 1.0
_CLEAR: Final = "\x1b[H\x1b[2J"


class SteadyClock:
    """The machine's monotonic clock."""

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


class Awaited:
    """What has to be fetched for a view, beside the snapshot."""

    def __init__(self, view: ViewSpec[Any]) -> None:
        self.topics = topics_of(view)
        self._problems: dict[str, str | None] = {}

    def all_read(self, live: Live) -> bool:
        """Whether all of it was read, or refused once."""
        known = live.model.beside.fetched if live.model is not None else {}
        return live.model is not None and all(
            topic in known and known[topic].tried_at is not None for topic in self.topics
        )

    def problems(self, live: Live) -> list[str]:
        """Why something could not be read, each told once until it is another one."""
        known = live.model.beside.fetched if live.model is not None else {}
        now = {topic: known[topic].problem if topic in known else None for topic in self.topics}
        news = {text for topic, text in now.items() if text is not None and text != self._problems.get(topic)}
        self._problems = now
        return [line(each) for each in sorted(news)]


class Watch:
    """One view that is followed."""

    def __init__(self, view: ViewSpec[Any], arrangement: Arrangement[Any], output: Output, limit: int) -> None:
        self._table: Table[Any] = Table(view)
        self._table.arrange(arrangement)
        self._output = output
        self._limit = limit
        self._live = Live()
        self._news = asyncio.Event()
        self._clock = SteadyClock()
        self._awaited = Awaited(view)
        self._said: dict[str, Wire] = {}
        self._before = ""
        self._header = True

    async def follow(self, client: OperatorClient) -> NoReturn:
        """Write until interrupted. Raises ClientError when the control plane refuses from the first."""
        await client.health()
        await client.snapshot()
        library = Library(client, self._clock, self._news.set)
        library.want(self._awaited.topics)
        feed = Feed(library.tapped(client), self._show, self._clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(feed.run())
            group.create_task(library.run())
            while True:
                await self._news.wait()
                self._news.clear()
                await self._write(library.furnish(self._live))

    def _show(self, live: Live) -> None:
        lost, before = live.link.state is LinkState.RECONNECTING, self._live.link.state
        if lost and before is LinkState.LIVE:
            sys.stderr.write(f"funai: the line is lost: {line(live.link.problem or 'no answer')}; trying again\n")
        elif live.link.state is LinkState.LIVE and before is LinkState.RECONNECTING:
            sys.stderr.write("funai: the line is back\n")
        self._live = live
        self._news.set()

    async def _write(self, live: Live) -> None:
        for problem in self._awaited.problems(live):
            sys.stderr.write(f"funai: {problem}\n")
        if not self._awaited.all_read(live):
            return
        changed = self._table.follow(World({"": live}), self._clock.monotonic())
        if self._output in (Output.NDJSON, Output.CSV):
            self._changes(changed)
            return
        text = self._whole()
        if text != self._before:
            self._before = text
            say(f"{_CLEAR}{text}" if self._output is Output.TABLE and sys.stdout.isatty() else text)
        await asyncio.sleep(_TABLE_SECONDS)

    def _whole(self) -> str:
        shown = self._table
        if self._output is Output.TABLE:
            rows = [shown.row(row) for row in range(min(self._limit, len(shown)))]
            return table(tuple(field.column for field in shown.view.fields), rows, terminal_width())
        values = (shown.value(key) for key in islice(shown.shown(), self._limit))
        return orjson.dumps([value.to_data() for value in values if value is not None]).decode()

    def _changes(self, changed: frozenset[str] | None) -> None:
        """Every object that is new or another one than was told, and every one that is shown no more."""
        keys = {*self._said, *self._table.shown()} if changed is None else changed
        for key in sorted(keys):
            value = self._table.value(key) if self._table.row_of(key) is not None else None
            if value is None:
                if self._said.pop(key, None) is not None:
                    self._tell("gone", key, None)
            elif self._said.get(key) != value:
                self._said[key] = value
                self._tell("put", key, value)

    def _tell(self, change: str, key: str, value: Wire | None) -> None:
        view = self._table.view
        if self._output is Output.NDJSON:
            told = {"version": WATCH_VERSION, "view": view.name, "change": change, "key": key}
            say(orjson.dumps({**told, "object": None if value is None else value.to_data()}).decode())
            return
        scene = self._table.scene(key)
        cells = [field.text(value, scene) for field in view.fields] if value is not None and scene is not None else []
        names = ["change", "key", *(field.name for field in view.fields)] if self._header else None
        self._header = False
        say_csv(names, [[change, key, *cells]])
