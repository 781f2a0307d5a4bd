"""The console in a terminal of 160x50, beside Textual's own DataTable with the same rows, in the same run.

    python -m bench.console               # 10,000 and 100,000 rows, and the table of Textual with 10,000
    python -m bench.console 10000         # these alone

Both run as programs of their own in a pseudo-terminal, fed with 1,000 changes a second from inside (no network). What
is counted is what comes out of the terminal, and what the processor was busy with.
"""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

from bench.figures import Figure, median, percentile, show

_COLUMNS, _ROWS = 160, 50
_RATE = 1000
_SECONDS = 6.0
_KEYS = 60
_NODES = 1000
_CURSOR = "▸".encode()
_QUERY, _ANSWER = b"\x1b[?2026$p", b"\x1b[?2026;2$y"


class Terminal:
    """A program in a pseudo-terminal: every piece of output with the moment it came."""

    def __init__(self, arguments: list[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        child_reads, self._commands = os.pipe()
        self._answers, child_writes = os.pipe()
        environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        environ.pop("NO_COLOR", None)
        # An installed program is compiled; whoever starts it from a checkout may have forbidden that.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.console_child", *arguments, str(child_reads), str(child_writes)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(child_reads, child_writes),
            env=environ,
            start_new_session=True,
        )
        for fd in (slave, child_reads, child_writes):
            os.close(fd)
        self._lines = os.fdopen(self._answers, "r")
        self.pieces: list[tuple[float, bytes]] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            if _QUERY in data:
                os.write(self._master, _ANSWER)
            with self._news:
                self.pieces.append((time.perf_counter(), data))
                self._news.notify_all()

    def ready(self) -> None:
        """Wait until it takes commands."""
        if not self._lines.readline():
            raise SystemExit(f"the program ended: {self.text()[-2000:]}")

    def ask(self, command: str) -> dict[str, float]:
        """The answer to a command."""
        os.write(self._commands, f"{command}\n".encode())
        answer: dict[str, float] = json.loads(self._lines.readline())
        return answer

    def press(self, keys: str) -> float:
        """Type; the moment it was typed."""
        now = time.perf_counter()
        os.write(self._master, keys.encode())
        return now

    def until(self, words: bytes, since: float, seconds: float = 10.0) -> float | None:
        """The moment at which `words` had come out after `since`; None when they did not in time."""
        end = time.perf_counter() + seconds
        with self._news:
            while True:
                held = b""
                for moment, data in self.pieces:
                    if moment < since:
                        continue
                    held = held[-200:] + data
                    if words in held:
                        return moment
                if time.perf_counter() > end:
                    return None
                self._news.wait(0.2)

    def last(self, since: float, seconds: float) -> float | None:
        """The moment of the last output within so many seconds."""
        time.sleep(max(0.0, since + seconds - time.perf_counter()))
        moments = [moment for moment, _ in self.pieces if since <= moment <= since + seconds]
        return moments[-1] if moments else None

    def bytes_between(self, start: float, end: float) -> int:
        """How much came out."""
        return sum(len(data) for moment, data in self.pieces if start <= moment < end)

    def text(self) -> str:
        """All that came out."""
        return b"".join(data for _, data in self.pieces).decode("utf-8", "replace")

    def close(self) -> None:
        """End the program."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self._commands)
        self._lines.close()
        os.close(self._master)


@dataclass
class Found:
    """What was measured of one program."""

    cpu: float = 0.0
    kilobytes: float = 0.0
    lag: float = 0.0
    idle: float = 0.0
    cell: float = 0.0
    key: float = 0.0
    filter: float = 0.0
    confirm: float = 0.0
    first: float = 0.0
    resident: float = 0.0
    more: dict[str, float] = field(default_factory=dict)


@contextmanager
def program(kind: str, rows: int, nodes: int = 0) -> Iterator[Terminal]:
    """The program while it runs."""
    terminal = Terminal([kind, str(rows), str(nodes)])
    try:
        yield terminal
    finally:
        terminal.close()


def measured(kind: str, rows: int) -> Found:
    """Everything about one of them."""
    found = Found()
    console = kind == "console"
    with program(kind, rows, _NODES) as terminal:
        terminal.ready()
        terminal.until(b"RUNNING", terminal.began, 60)
        time.sleep(4)
        found.idle = _share(terminal, _SECONDS)
        found.cell = _one_cell(terminal)
        if console:
            found.filter = _filter(terminal)
        found.confirm = _confirm(terminal)
        found.resident = psutil.Process(terminal.process.pid).memory_info().rss / 1e6
        terminal.ask(f"rate {_RATE}")
        time.sleep(2)
        began = time.perf_counter()
        found.cpu = _share(terminal, _SECONDS)
        found.kilobytes = terminal.bytes_between(began, began + _SECONDS) / _SECONDS / 1000
        terminal.ask("lag on")
        time.sleep(_SECONDS)
        found.lag = terminal.ask("lag off")["lag"] or 0.0
        found.key = _keys(terminal, (lambda since: terminal.until(_CURSOR, since, 2)) if console else None)
        terminal.ask("rate 0")
    return found


def _share(terminal: Terminal, seconds: float) -> float:
    """Per cent of one core over some time."""
    before, began = terminal.ask("cpu")["cpu"], time.perf_counter()
    time.sleep(seconds)
    return (terminal.ask("cpu")["cpu"] - before) / (time.perf_counter() - began) * 100


def _one_cell(terminal: Terminal) -> float:
    """Bytes of one change of a cell in view, between two seconds of the clock in the headline."""
    counts = []
    for _ in range(12):
        before = time.perf_counter()
        terminal.ask("one")
        time.sleep(0.3)
        counts.append(terminal.bytes_between(before, before + 0.3))
    return median([count for count in counts if count] or [0])


def _filter(terminal: Terminal) -> float:
    """Milliseconds from a keystroke of the filter to the last of what it changed."""
    terminal.press("/")
    time.sleep(0.5)
    times = []
    for letter in ("2", "0", "1", "5", "\x7f", "\x7f", "\x7f", "\x7f"):
        since = terminal.press(letter)
        last = terminal.last(since, 0.25)
        if last is not None:
            times.append((last - since) * 1000)
    terminal.press("\x1b")
    time.sleep(0.5)
    return median(times) if times else 0.0


def _confirm(terminal: Terminal) -> float:
    """Milliseconds until a question is on the screen."""
    times = []
    for _ in range(5):
        since = terminal.press("c")
        shown = terminal.until(b"Keep it", since, 2)
        if shown is not None:
            times.append((shown - since) * 1000)
        time.sleep(0.3)
        terminal.press("\x1b")
        time.sleep(0.5)
    return median(times) if times else float("inf")


def _keys(terminal: Terminal, painted: Callable[[float], float | None] | None) -> float:
    """Milliseconds from a key that moves the cursor to its new row; of the peer, to any output at all."""
    times = []
    for number in range(_KEYS):
        since = terminal.press("\x1b[B" if number % 30 < 15 else "\x1b[A")
        found = painted(since) if painted else terminal.until(b"\x1b", since, 2)
        if found is not None:
            times.append((found - since) * 1000)
        time.sleep(0.09)
    return percentile(times, 0.95) if times else float("inf")


def first_paint(kind: str) -> float:
    """Milliseconds from the start of the program to the first row, the best of three."""
    times = []
    for _ in range(3):
        with program(kind, 50) as terminal:
            shown = terminal.until(b"RUNNING", terminal.began, 20)
            times.append(((shown or float("inf")) - terminal.began) * 1000)
    return min(times)


def _figures(name: str, mine: Found, peer: Found, wider: float) -> list[Figure]:
    """Each figure against its limit and against the peer; `wider`: how much more a bigger table may need."""
    rows = (
        ("processor at 1,000 changes/s", mine.cpu, peer.cpu, "%", 10.0 * wider),
        ("event loop late, p99", mine.lag, peer.lag, "ms", 20.0 * wider),
        ("to the terminal", mine.kilobytes, peer.kilobytes, "kB/s", 50.0 * wider),
        ("one visible cell", mine.cell, peer.cell, "B", 1000.0),
        ("idle processor", mine.idle, peer.idle, "%", 0.5 * wider),
        ("key to paint, p95", mine.key, peer.key, "ms", 25.0 * wider),
        ("filter keystroke", mine.filter, 0.0, "ms", 20.0 * (10 if wider > 1 else 1)),
        ("confirm visible", mine.confirm, peer.confirm, "ms", 40.0),
    )
    found = []
    for what, value, other, unit, limit in rows:
        found.append(Figure(f"{name}: {what}", value, unit, "limit", limit, 1.0))
        if other:
            found.append(Figure(f"{name}: {what}", value, unit, "DataTable", other, 1.0))
    return found


def main(sizes: list[int]) -> int:
    """Measure and print; exit code 0 if every limit held."""
    least = min(sizes)
    peer = measured("datatable", least)
    figures: list[Figure] = []
    for rows in sizes:
        mine = measured("console", rows)
        figures += _figures(f"{rows:,} rows", mine, peer, 1.0 if rows <= 10_000 else 1.5)
        if rows <= 10_000:
            figures.append(Figure("memory, 10,000 jobs and 1,000 nodes", mine.resident, "MB", "limit", 150.0, 1.0))
    paint, other = first_paint("console"), first_paint("datatable")
    figures.append(Figure("first paint", paint, "ms", "limit", 400.0, 1.0))
    figures.append(Figure("first paint", paint, "ms", "DataTable", other, 1.5))
    return show("the console in a terminal of 160x50", figures)


if __name__ == "__main__":
    raise SystemExit(main([int(word) for word in sys.argv[1:]] or [10_000, 100_000]))
