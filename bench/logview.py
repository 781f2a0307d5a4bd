"""A log in the console: what appending, keeping, searching and drawing a million lines cost, against Textual's own.

    python -m bench.logview               # a million lines, and 100,000 for the stock widgets
    python -m bench.logview 200000

Each widget runs in a process of its own, so that its memory is its own; all run in the same run, one after the other,
without a terminal. A line is 60 to 140 bytes, one in five is coloured.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil
from textual.app import App, ComposeResult
from textual.widget import Widget
from textual.widgets import Log, RichLog

from bench.figures import Figure, percentile, show
from console.live.logs.book import Logbook, Origin, Piece
from console.live.logs.search import Matches, wanted
from console.widgets.log_pane import LogPane
from console.widgets.log_view import LogView

_MB: Final = 1_000_000
_STOCK_LINES: Final = 100_000
_RATE: Final = 5_000
_RATE_SECONDS: Final = 5.0
_BATCH: Final = 1_000
_ORIGIN: Final = Origin("app", "20001", "app 20001")


def texts(first: int, count: int) -> Iterator[str]:
    """Lines of a log."""
    for number in range(first, first + count):
        level = "\x1b[31mERROR\x1b[0m" if number % 5 == 0 else "INFO"
        word = "needle" if number % 9_973 == 0 else "request"
        at = f"2026-05-01T10:{number // 60 % 60:02}:{number % 60:02}Z"
        yield f"{at} {level} {word} {number} /api/{'x' * (number % 80)}"


class Shown(App[None]):
    """One widget."""

    CSS_PATH = None
    CSS = "LogPane { height: 1fr; } #log-title { height: 1; } LogView { height: 1fr; } #log-search-line { height: 1; }"

    def __init__(self, make: Callable[[], Widget]) -> None:
        super().__init__()
        self.widget = make()

    def compose(self) -> ComposeResult:
        """It."""
        yield self.widget


def adder(widget: Widget) -> Callable[[list[str]], None]:
    """How this widget gets lines."""
    if isinstance(widget, LogPane):
        return lambda lines: widget.take((_ORIGIN,), [Piece(0, "".join(f"{line}\n" for line in lines).encode(), 1, 1)])
    if isinstance(widget, Log):
        return lambda lines: (widget.write_lines(lines), None)[1]
    if isinstance(widget, RichLog):
        return lambda lines: ([widget.write(line) for line in lines], None)[1]
    raise TypeError(widget)


async def followed(app: Shown, add: Callable[[list[str]], None]) -> tuple[float, float]:
    """5,000 lines a second while the end is in view: the share of a core, and how late the loop was at most (p99)."""
    lags: list[float] = []
    used, began = time.process_time(), time.perf_counter()
    sent, due = 0, began
    while (now := time.perf_counter()) - began < _RATE_SECONDS:
        lags.append(max(0.0, now - due))
        count = int((now - began) * _RATE) - sent
        add([*texts(sent, count)])
        sent += count
        due = time.perf_counter() + 0.01
        await asyncio.sleep(0.01)
    spent = time.perf_counter() - began
    return (time.process_time() - used) / spent, percentile(lags, 0.99)


async def kept(app: Shown, add: Callable[[list[str]], None], count: int) -> float:
    """Processor seconds to take in so many lines at once, without those to make them."""
    began, making = time.process_time(), 0.0
    for first in range(0, count, _BATCH):
        before = time.process_time()
        lines = [*texts(first, _BATCH)]
        making += time.process_time() - before
        add(lines)
        await asyncio.sleep(0)
    pane = app.widget
    while isinstance(pane, LogPane) and len(pane.text.paper.book.store) < count:
        await asyncio.sleep(0.005)
    return time.process_time() - began - making


async def measured(name: str, count: int) -> dict[str, float]:
    """The figures of one widget."""
    makes: dict[str, Callable[[], Widget]] = {"ours": LogPane, "Log": Log, "RichLog": RichLog}
    app = Shown(makes[name])
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        add, process = adder(app.widget), psutil.Process()
        if isinstance(app.widget, LogPane):
            app.widget.open((_ORIGIN,), "bench")
        before = process.memory_info().rss
        found = {"keep": await kept(app, add, count) / count * 1e6}
        found["memory"] = (process.memory_info().rss - before) / _MB
        share, lag = await followed(app, add)
        found |= {"share": share, "lag": lag * 1000}
        if isinstance(app.widget, LogPane):
            found |= await pinned(app, app.widget, add)
            found |= await searched(app, app.widget)
    return found


async def pinned(app: Shown, pane: LogPane, add: Callable[[list[str]], None]) -> dict[str, float]:
    """The operator reads some pages above the end while 5,000 lines a second come: how many rows moved."""
    pane.text.action_page(-3)
    before = pane.text.texts
    share, lag = await followed(app, add)
    moved = sum(one != other for one, other in zip(before, pane.text.texts, strict=True))
    return {"moved": float(moved), "pinned": share, "pinned lag": lag * 1000}


async def searched(app: Shown, pane: LogPane) -> dict[str, float]:
    """A search through all lines, how long it holds the loop at a time, drawing a page, and a line of a megabyte."""
    store, spans = pane.text.paper.book.store, list[float]()
    began = time.perf_counter()
    matches = Matches(wanted("needle"), store)
    while not matches.complete:
        each = time.perf_counter()
        matches.look_on()
        spans.append(time.perf_counter() - each)
    found = {"search": time.perf_counter() - began, "block": max(spans) * 1000, "found": float(len(matches))}
    began = time.perf_counter()
    for _ in range(50):
        pane.text.action_page(-1)
        page(pane.text)
    found["page"] = (time.perf_counter() - began) / 50 * 1000
    book = Logbook((_ORIGIN,))
    began = time.perf_counter()
    book.take([Piece(0, b"x" * 1_000_000 + b"\n")])
    pane.text.show(book)
    pane.text.action_wrap()
    pane.text.news()
    page(pane.text)
    found["megabyte"] = (time.perf_counter() - began) * 1000
    return found


def page(view: LogView) -> None:
    """Draw every row in view."""
    for y in range(view.size.height):
        view.render_line(y)


def one(name: str, count: int) -> dict[str, float]:
    """A widget's figures, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.logview", "--one", name, str(count)], stdout=subprocess.PIPE, check=True
    )
    return {key: float(value) for key, value in json.loads(done.stdout).items()}


def main(count: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    ours, few = one("ours", count), one("ours", min(count, _STOCK_LINES))
    log, rich = (one(name, min(count, _STOCK_LINES)) for name in ("Log", "RichLog"))
    per_ours, per_log = ours["memory"] / count * 1e6, log["memory"] / min(count, _STOCK_LINES) * 1e6
    figures = [
        Figure(f"memory of {count:,} lines", ours["memory"], "MB", "limit", 200.0, 1.0),
        Figure("memory of a line", per_ours, "B", "Log", per_log, 0.5),
        Figure("time to take a line in, 100,000", few["keep"], "us", "Log", log["keep"], 2.0),
        Figure("time to take a line in, 100,000", few["keep"], "us", "RichLog", rich["keep"], 0.2),
        Figure("follow 5,000 lines/s: share of a core", ours["share"] * 100, "%", "Log", log["share"] * 100, 1.0),
        Figure("follow 5,000 lines/s: share of a core", ours["share"] * 100, "%", "RichLog", rich["share"] * 100, 0.5),
        Figure("follow 5,000 lines/s: loop late, p99", ours["lag"], "ms", "limit", 20.0, 1.0),
        Figure("follow 5,000 lines/s: loop late, p99", ours["lag"], "ms", "Log", log["lag"], 2.0),
        Figure("pinned, 5,000 lines/s come: rows that moved", ours["moved"], "", "limit", 0.0, 0.0),
        Figure("pinned: share of a core", ours["pinned"] * 100, "%", "following", ours["share"] * 100, 1.0),
        Figure("pinned: loop late, p99", ours["pinned lag"], "ms", "limit", 20.0, 1.0),
        Figure(f"search {count:,} lines", ours["search"], "s", "limit", 2.0, 1.0),
        Figure("search: longest hold of the loop", ours["block"], "ms", "limit", 20.0, 1.0),
        Figure("draw a page of 48 rows", ours["page"], "ms", "limit", 25.0, 1.0),
        Figure("take in, wrap and draw a line of 1 MB", ours["megabyte"], "ms", "limit", 50.0, 1.0),
    ]
    return show(f"a log of {count:,} lines", figures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(asyncio.run(measured(sys.argv[2], int(sys.argv[3])))))
        raise SystemExit(0)
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
