"""The console in the foreground, alone or with the whole platform as its background child."""

import asyncio
import gc
import importlib
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO, Final

from console.live.themes import look_of
from console.settings import NotConfigured, read
from console.web.gate import Address

_STOP_SECONDS: Final = 75


def open_console(look: str = "") -> int:
    """Run the console until it is left. Textual is imported now, not before; nothing of it is garbage."""
    gc.disable()
    console = importlib.import_module("console.app")
    gc.enable()
    gc.freeze()
    return int(console.run(look))


def serve_console(address: Address, look: str, language: str) -> int:
    """Serve the console to browsers until interrupted; the exit code."""
    try:
        settings = read()
        importlib.import_module("textual_serve")
    except NotConfigured as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 2
    except ModuleNotFoundError:
        sys.stderr.write("funai: --serve needs the package textual-serve; pip install 'funai-platform[web]'\n")
        return 2
    server = importlib.import_module("console.web.server")
    arguments = ("--theme", look or look_of(settings.theme), "--lang", language)
    try:
        asyncio.run(server.serve(settings, address, arguments))
    except OSError as problem:
        sys.stderr.write(f"funai: the console cannot be served on {address.host}:{address.port}: {problem.strerror}\n")
        return 1
    return 0


def open_replay(time: str | None, look: str = "") -> int:
    """Run the console on what was recorded, from this time on."""
    return int(importlib.import_module("console.replay").run(time, look=look))


def platform_and_console(supervisor: Sequence[str], look: str = "") -> int:
    """Start the platform, open the console when it is ready, stop the platform when the console is left."""
    # In a process group of its own, so that Ctrl-C in the terminal is the console's alone.
    child = subprocess.Popen(supervisor, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             process_group=0)  # fmt: skip
    if child.stdout is None or child.stderr is None:
        raise RuntimeError("the supervisor was started without pipes")
    relay = _Relay(child.stderr)
    try:
        ready = child.stdout.readline()
        if not ready:
            return child.wait()
        relay.quiet()
        return open_console(look)
    except KeyboardInterrupt:
        return 130
    finally:
        relay.aloud()
        _stop(child)


def _stop(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        sys.stderr.write("funai: stopping the platform; apps that run keep running (bin/up --headless keeps it up)\n")
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


class _Relay:
    """Shows the platform's lines while no console covers the terminal; its log files have them anyway."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._shown = threading.Event()
        self._shown.set()
        threading.Thread(target=self._copy, name="relay", daemon=True).start()

    def quiet(self) -> None:
        """The console has the terminal now."""
        self._shown.clear()

    def aloud(self) -> None:
        """The terminal is free again."""
        self._shown.set()

    def _copy(self) -> None:
        for line in self._source:
            if self._shown.is_set():
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
