"""Several real control planes on one database, behind a real HAProxy with the packaged configuration."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.http.deploy.plane import ENVIRONMENT
from tests.support import real

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "packaging" / "haproxy" / "deploy.cfg"


class ReplicaProcess:
    """One control plane, started, killed and stopped as a test wants."""

    def __init__(self, folder: Path, number: int, database_url: str) -> None:
        self.port = real.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / f"deploy{number}.log"
        self._folder = folder
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        tokens = {name: str(value) for name, value in ENVIRONMENT.items()}
        mine = {"DEPLOY_PORT": str(self.port), "DEPLOY_DB_URL": database_url, "PYTHONPATH": str(ROOT)}
        self._environment = {**kept, **tokens, **mine}
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the running process."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        """Start it, without waiting."""
        with self._log.open("ab") as output:
            argv = (sys.executable, "-m", "daemons.deploy")
            self._child = subprocess.Popen(
                argv,
                env=self._environment,
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )

    def wait_ready(self) -> None:
        """Return when it says that it is ready."""
        real.wait_until(self.ready, f"the readiness of {self.url}")

    def ready(self) -> bool:
        """Whether it says so."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/internal/ready", trust_env=False, verify=False, timeout=3).status_code == 200
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """As a power cut ends it."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def terminate(self) -> int:
        """Ask it to stop; its exit code."""
        assert self._child is not None
        self._child.terminate()
        code = self._child.wait(90)
        self._child = None
        return code

    def stop(self) -> None:
        """Whatever state it is in."""
        if self._child is not None:
            self.signal(signal.SIGCONT)
            self.kill()


@contextmanager
def behind_gateway(folder: Path, database_url: str) -> Iterator[tuple[str, Sequence[ReplicaProcess]]]:
    """The gateway's URL and three replicas behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    replicas = [ReplicaProcess(folder, number, database_url) for number in range(3)]
    haproxy, port = real.program("haproxy", "haproxy"), real.free_port()
    addresses = {f"DEPLOY_{number + 1}": f"127.0.0.1:{each.port}" for number, each in enumerate(replicas)}
    environment = {"PATH": os.environ["PATH"], "DEPLOY_BIND": f"127.0.0.1:{port}", **addresses}
    try:
        for replica in replicas:
            replica.start()
        with real.process([haproxy, "-db", "-f", str(CONFIGURATION)], folder / "haproxy.log", env=environment):
            for replica in replicas:
                replica.wait_ready()
            url = f"http://127.0.0.1:{port}"
            real.wait_until(lambda: _answers(url), "the gateway's first answer")
            yield url, replicas
    finally:
        for replica in replicas:
            replica.stop()


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{url}/internal/ready", trust_env=False, verify=False, timeout=3).status_code == 200
    return False
