"""`funai console --plain`: the console as lines: a sentence when something changes, no cursor that moves."""

import asyncio
import contextlib
import io
import sys
import threading
from typing import Any, Final

from console.cli.outcome import Failure, run
from console.cli.output import say
from console.cli.rows import arranged
from console.cli.watching import Awaited, SteadyClock
from console.live.catalog import VIEWS, view_of
from console.live.feed import Feed
from console.live.library import Library
from console.live.model import Live, World
from console.live.sentences import Said, appeared, changed, everything, gone, name_of, state, words_of
from console.live.table import Table
from console.live.views.jobs import JOBS
from console.live.words import t, tn
from protocol.client.operator import OperatorClient

#: So many sentences at once are read; of more only the number is said, for a voice cannot catch up.
_MOST_AT_ONCE: Final = 8
_MOST_READ: Final = 50
_LOOK_SECONDS: Final = 1.0
_QUIT: Final = ("quit", "q", "exit")


def open_lines(view: str = JOBS.name) -> None:
    """Say the state, then what changes, until `quit`, the end of the input or Ctrl-C. Raises typer.Exit."""

    async def work(client: OperatorClient) -> None:
        await Lines(view).follow(client)

    run(work, t("the platform cannot be followed"))


class Lines:
    """One view, told."""

    def __init__(self, view: str) -> None:
        self._clock = SteadyClock()
        self._table: Table[Any] = Table(view_of(view))
        self._awaited = Awaited(self._table.view)
        self._live = Live()
        self._told: dict[str, tuple[str, Said]] = {}
        self._link = ""
        self._news = asyncio.Event()
        self._begun = False
        self._over = asyncio.Event()

    async def follow(self, client: OperatorClient) -> None:
        """Tell until it is over. Raises ClientError when the control plane refuses from the first."""
        await client.snapshot()
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        _listen(lines)
        library = Library(client, self._clock, self._news.set)
        library.want(self._awaited.topics)
        feed = Feed(library.tapped(client), self._show, self._clock)
        async with asyncio.TaskGroup() as group:
            every = (feed.run(), library.run(), self._tell(library), self._obey(lines, library))
            tasks = [group.create_task(each) for each in every]
            await self._over.wait()
            for task in tasks:
                task.cancel()

    def _show(self, live: Live) -> None:
        self._live = live
        self._news.set()

    async def _tell(self, library: Library) -> None:
        while True:
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            self._live = library.furnish(self._live)
            self._tell_link()
            for problem in self._awaited.problems(self._live):
                say(problem)
            if self._awaited.all_read(self._live):
                self._take_in(tell=self._begun)
                if not self._begun:
                    self._begun = True
                    self._read()
            await asyncio.sleep(_LOOK_SECONDS)

    def _tell_link(self) -> None:
        fresh = "fresh" if self._live.link.fresh(self._clock.monotonic()) else self._live.link.state.value
        if fresh != self._link:
            self._link = fresh
            say(state(self._live, self._clock.monotonic()))

    def _take_in(self, *, tell: bool) -> None:
        """Tell what differs from what was told."""
        changed_keys = self._table.follow(World({"": self._live}), self._clock.monotonic())
        keys = {*self._told, *self._table.shown()} if changed_keys is None else changed_keys
        sentences = [sentence for key in sorted(keys) if (sentence := self._difference(key)) is not None]
        if not tell:
            return
        for sentence in sentences[:_MOST_AT_ONCE]:
            say(sentence)
        if len(sentences) > _MOST_AT_ONCE:
            say(tn("{count} more change.", "{count} more changes.", len(sentences) - _MOST_AT_ONCE))

    def _difference(self, key: str) -> str | None:
        view, before = self._table.view, self._told.get(key)
        value = self._table.value(key) if self._table.row_of(key) is not None else None
        scene = self._table.scene(key)
        if value is None or scene is None:
            self._told.pop(key, None)
            return gone(view, before[0]) if before else None
        name, said = name_of(view, key, value, scene), words_of(view, value, scene)
        self._told[key] = name, said
        return appeared(view, name, said) if before is None else changed(view, name, before[1], said)

    # The operator

    async def _obey(self, lines: asyncio.Queue[str | None], library: Library) -> None:
        while True:
            line = await lines.get()
            if line is None or line.strip() in _QUIT:
                self._over.set()
                return
            self._do(line.strip(), library)

    def _do(self, line: str, library: Library) -> None:
        if line in {view.name for view in VIEWS}:
            self._table = Table(view_of(line))
            self._awaited = Awaited(self._table.view)
            self._told.clear()
            self._begun = False
            library.want(self._awaited.topics)
            self._news.set()
        elif line.startswith("/"):
            self._filter(line[1:])
        elif line in ("", "list"):
            if self._begun:
                self._read()
        elif line == "state":
            say(state(self._live, self._clock.monotonic()))
        else:
            names = ", ".join(view.name for view in VIEWS)
            say(t("Type a view ({names}), list, state, / and words to filter, or quit.", names=names))

    def _filter(self, words: str) -> None:
        view = self._table.view
        try:
            self._table.arrange(arranged(view, words, ""))
        except Failure as problem:
            say(str(problem))
            return
        self._told.clear()
        if not self._begun:
            return
        self._take_in(tell=False)
        for key in self._table.shown():
            self._difference(key)
        self._read()

    def _read(self) -> None:
        for line in everything(self._table, _MOST_READ):
            say(line)


def _listen(lines: asyncio.Queue[str | None]) -> None:
    """Hand over what is typed. At a terminal the end of the input is a farewell; a pipe may just be empty."""
    loop = asyncio.get_running_loop()
    farewell = sys.stdin.isatty()

    def read() -> None:
        # Unbuffered: a thread that waits for a line must hold no lock when the interpreter ends.
        with io.FileIO(sys.stdin.fileno(), closefd=False) as typed, contextlib.suppress(RuntimeError):
            for line in typed:
                loop.call_soon_threadsafe(lines.put_nowait, line.decode(errors="replace"))
            if farewell:
                loop.call_soon_threadsafe(lines.put_nowait, None)

    threading.Thread(target=read, name="typed", daemon=True).start()
