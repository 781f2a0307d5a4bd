"""A real registry that dies as a crash would have it, and comes back on the same port with what it had."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import real


@dataclass
class MortalRegistry:
    """`outages` are the spans of the monotonic clock in which it was down; the last may be open."""

    host: str
    argv: list[str]
    log: Path
    outages: list[tuple[float, float]] = field(default_factory=list)
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Until it listens."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(self.argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        port = int(self.host.rpartition(":")[2])
        real.wait_until(lambda: real.listening(port), "the registry's start")
        if self.outages:
            self.outages[-1] = (self.outages[-1][0], time.monotonic())

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self.outages.append((time.monotonic(), float("inf")))
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    @property
    def pid(self) -> int:
        """Of the present process."""
        assert self._process is not None
        return self._process.pid

    def was_down(self, since: float, until: float, slack_seconds: float) -> bool:
        """Whether an outage touches that span."""
        return any(down < until + slack_seconds and up > since - slack_seconds for down, up in self.outages)


@contextmanager
def mortal_registry(folder: Path) -> Iterator[MortalRegistry]:
    """A running one, for the duration of the block."""
    binary, port = real.program("docker-registry", "docker-registry"), real.free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog:\n  level: warn\nhttp:\n  addr: 127.0.0.1:{port}\n"
        f"storage:\n  filesystem:\n    rootdirectory: {folder}/store\n  delete:\n    enabled: true\n"
    )
    registry = MortalRegistry(f"127.0.0.1:{port}", [binary, "serve", str(config)], folder / "registry.log")
    registry.start()
    try:
        yield registry
    finally:
        registry.kill()
