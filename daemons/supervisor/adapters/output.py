"""What children print: each line prefixed with its child's name to standard error, and to one capped file per child.

Writing happens in a thread of its own behind a bounded queue: a terminal that does not read must not stop the
supervisor. What does not fit is counted and said.
"""

import logging
import queue
import threading
from pathlib import Path
from typing import BinaryIO, Final, Protocol

_QUEUED_LINES: Final = 10_000
_FILE_BYTES: Final = 5 * 1024 * 1024


class _Stream(Protocol):
    def write(self, text: bytes, /) -> int: ...

    def flush(self) -> None: ...


class Output:
    """The one writer of standard error and of the log folder."""

    def __init__(self, folder: Path, stream: BinaryIO, *, file_bytes: int = _FILE_BYTES) -> None:
        self._folder = folder
        self._stream: _Stream = stream
        self._file_bytes = file_bytes
        self._lines: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="output", daemon=True)
        self._thread.start()

    def line(self, name: str, text: bytes) -> None:
        """One line of a child, without its line end. Never blocks."""
        if self._lines.qsize() < _QUEUED_LINES:
            self._lines.put((name, text))
        else:
            self._dropped += 1

    def close(self, seconds: float = 2) -> None:
        """Write what is queued, for at most that long."""
        self._lines.put(None)
        self._thread.join(seconds)

    def _write_all(self) -> None:
        files: dict[str, _CappedFile] = {}
        while (item := self._lines.get()) is not None:
            name, text = item
            self._show(name, text)
            if name not in files:
                files[name] = _CappedFile(self._folder / f"{name}.log", self._file_bytes)
            files[name].write(text)
            dropped, self._dropped = self._dropped, 0
            if dropped:
                self._show("supervisor", f"{dropped} lines were not shown, because nobody read fast enough".encode())
        for file in files.values():
            file.close()

    def _show(self, name: str, text: bytes) -> None:
        try:
            self._stream.write(b"%-7s | %s\n" % (name.encode(), text))
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = _Nowhere()  # the terminal is gone; the files go on


class _CappedFile:
    """A file that starts over at its cap, keeping one predecessor as NAME.1. A full disk loses lines, nothing else."""

    def __init__(self, path: Path, cap: int) -> None:
        self._path = path
        self._cap = cap
        self._file: BinaryIO | None = None

    def write(self, text: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._path.open("ab")
            elif self._file.tell() >= self._cap:
                self._file.close()
                self._file = None
                self._path.replace(self._path.with_suffix(".log.1"))
                self._file = self._path.open("ab")
            self._file.write(text + b"\n")
            self._file.flush()
        except OSError:
            self.close()

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                return


class _Nowhere:
    """Takes the place of a terminal that is gone."""

    def write(self, text: bytes, /) -> int:
        return len(text)

    def flush(self) -> None:
        return None


class OutputHandler(logging.Handler):
    """The supervisor's own log lines, among those of its children."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        """One record, its traceback included, a line at a time."""
        for line in self.format(record).splitlines():
            self._output.line("up", line.encode("utf-8", "replace"))
