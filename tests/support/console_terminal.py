"""A program in a real terminal (tmux), pressed and looked at as an operator would."""

import math
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support.real import program

#: By then a key was heard, on a machine with many others at work.
_HEARD_SECONDS: Final = 4.0
#: Says how the program ended, and keeps what it left on the screen. tmux itself sometimes never learns the status.
_TOLD: Final = '"$@"; printf "\\n[ended with %s]\\n" "$?"; exec sleep 600'
_END: Final = re.compile(r"\[ended with (\d+)\]")


class Terminal:
    """One tmux server of its own with one window."""

    def __init__(self, socket: Path, columns: int, rows: int) -> None:
        self._tmux = [program("tmux", "tmux"), "-S", str(socket), "-f", "/dev/null"]
        self._size = ["-x", str(columns), "-y", str(rows)]

    def start(self, argv: list[str], environ: dict[str, str]) -> None:
        """A program with these settings beside those of the test."""
        assignments = [f"{key}={value}" for key, value in environ.items()]
        self.start_alone(["env", *assignments, *argv], dict(os.environ))

    def start_alone(self, argv: list[str], environ: dict[str, str]) -> None:
        """A program with this environment and nothing else of the test's."""
        self._run("new-session", "-d", *self._size, "sh", "-c", _TOLD, "sh", *argv, environ=environ)
        self._run("set", "-s", "escape-time", "0")

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def type(self, text: str) -> None:
        """The text as it stands, whatever keys its words are the names of."""
        self._run("send-keys", "-l", text)

    def shown(self) -> str:
        return self._run("capture-pane", "-p")

    def history(self) -> str:
        """What is shown and what was before it."""
        return self._run("capture-pane", "-p", "-S", "-500")

    def fill(self, text: str) -> None:
        """Put the text into the field that has the keys, again until it is there: a form is painted before it hears."""

        def shown() -> bool:
            if text in self.shown():
                return True
            self.press("C-e", "C-u")
            self.type(text)
            return False

        self.waits(shown, f"{text!r} in the form", apart=1)

    def next_field(self) -> None:
        """Go to the next field of a form and wait until it has the keys: the old one gets what is typed before that."""
        before = self._cursor_row()
        self.press("Tab")
        self.waits(lambda: self._cursor_row() != before, "the way into the next field")

    def _cursor_row(self) -> str:
        return self._run("display-message", "-p", "#{cursor_y}").strip()

    def answer(self, question: str, key: str) -> None:
        """Press the key until the question is gone: one pressed while it is still opening is not heard by it, and one
        too many, while it closes, is heard by what lies under it."""
        pressed = -math.inf

        def gone() -> bool:
            nonlocal pressed
            if question not in self.shown():
                return True
            if time.monotonic() - pressed > _HEARD_SECONDS:
                self.press(key)
                pressed = time.monotonic()
            return False

        self.until(question)
        self.waits(gone, f"the answer to {question!r}")

    def ended(self) -> bool:
        return _END.search(self.history()) is not None

    def exit_code(self) -> int:
        """Of a program that has ended."""
        found = _END.search(self.history())
        assert found is not None
        return int(found[1])

    def until(self, text: str, seconds: float = 90) -> str:
        self.waits(lambda: text in self.shown(), f"{text!r} on the screen", seconds)
        return self.shown()

    def waits(self, true: Callable[[], bool], what: str, seconds: float = 90, apart: float = 0.05) -> None:
        """Until it is true; fails with what the screen shows instead."""
        until = time.monotonic() + seconds
        while not true():
            if time.monotonic() > until:
                pytest.fail(f"{what} did not happen within {seconds:g} s; the screen shows\n{self.shown()}")
            time.sleep(apart)

    def stop(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True, check=False)

    def _run(self, *words: str, environ: Mapping[str, str] = os.environ) -> str:
        """A command of tmux; the one that begins a session hands its environment on to the program in it."""
        done = subprocess.run(
            [*self._tmux, *words], capture_output=True, check=True, env={**environ, "LANG": "C.UTF-8"}
        )
        return done.stdout.decode()
