"""What a benchmark runs against, each in a process of its own: MariaDB, a control plane, a bare echo."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pymysql
import pymysql.cursors
import uvloop
from aiohttp import web

TOKENS: Final = ("DEPLOY_ADMIN_TOKEN", "DEPLOY_PROXY_AUTH_SHARED_SECRET", "DEPLOY_RUNNER_TOKEN", "DEPLOY_NODE_TOKEN")
_START_SECONDS: Final = 60.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running process that is measured."""

    name: str
    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """Processor time it has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_mb(self) -> float:
        """Resident memory."""
        return resident_mb(self.pid)


@dataclass(frozen=True, slots=True)
class ControlPlane(Server):
    """A running control plane, and the secrets of its callers."""

    tokens: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Mariadb(Server):
    """A running database server; `url` is that of its first database."""

    port: int

    def database(self, name: str) -> str:
        """The URL of another, new database."""
        with self.connect("") as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return f"{self.url.rpartition('/')[0]}/{name}"

    def connect(self, database: str = "funai") -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection of our own."""
        return pymysql.connect(host="127.0.0.1", port=self.port, user="funai", password="bench", database=database)

    def deadlocks(self) -> int:
        """Transactions that were rolled back because of a deadlock, since the server started."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'lock_deadlocks'")
            found = cursor.fetchone()
        return int(found[0]) if found else 0


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextmanager
def mariadb(*options: str) -> Iterator[Mariadb]:
    """A MariaDB of our own with the durability it has by default; its database is `funai`."""
    with tempfile.TemporaryDirectory(prefix="funai-bench-") as name:
        folder, port = Path(name), free_port()
        argv = [_program("mariadb-install-db"), "--no-defaults", f"--datadir={folder}/data", *_user()]
        subprocess.run([*argv, "--auth-root-authentication-method=normal"], check=True, capture_output=True)
        (folder / "init.sql").write_text(
            "CREATE DATABASE funai;\nCREATE USER funai@'127.0.0.1' IDENTIFIED BY 'bench';\n"
            "GRANT ALL ON *.* TO funai@'127.0.0.1';\n"
        )
        argv = [_program("mariadbd"), "--no-defaults", f"--datadir={folder}/data", *_user()]
        argv += [f"--socket={folder}/sock", f"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve"]
        argv += [f"--init-file={folder}/init.sql", f"--pid-file={folder}/pid", "--character-set-server=utf8mb4"]
        argv += options
        with (folder / "log").open("wb") as log, child(argv, {}, log=log) as process:
            wait_for(port, process)
            yield Mariadb("mariadbd", f"mysql://funai:bench@127.0.0.1:{port}/funai", process.pid, port)


@contextmanager
def control_planes(database_url: str, count: int = 1, *, stale_seconds: int = 3600) -> Iterator[list[ControlPlane]]:
    """So many control planes on one database, which take the same tokens. A node that never calls again counts as gone
    after `stale_seconds`, by default not during a run."""
    tokens = {name: secrets.token_urlsafe(32) for name in (*TOKENS, "RUNTIME_AGENT_TOKEN")}
    with ExitStack() as stack:
        planes = []
        for _ in range(count):
            port = free_port()
            environment = {
                "DEPLOY_DB_URL": database_url,
                "DEPLOY_PORT": str(port),
                "FUNAI_LOG_LEVEL": "WARNING",
                "DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS": str(stale_seconds),
            }
            process = stack.enter_context(child([sys.executable, "-m", "daemons.deploy"], tokens | environment))
            wait_for(port, process)
            planes.append(ControlPlane("control plane", f"http://127.0.0.1:{port}", process.pid, tokens))
        yield planes


@contextmanager
def control_plane(database_url: str) -> Iterator[ControlPlane]:
    """One control plane on the database."""
    with control_planes(database_url) as (plane,):
        yield plane


@contextmanager
def echo() -> Iterator[Server]:
    """A handler that answers what it is sent, on the same libraries."""
    port = free_port()
    with child([sys.executable, "-m", "bench.servers", str(port)], {}) as process:
        wait_for(port, process)
        yield Server("bare echo", f"http://127.0.0.1:{port}/", process.pid)


@contextmanager
def child(
    argv: Sequence[str], environment: Mapping[str, str], *, log: IO[bytes] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A child process for the block."""
    process = subprocess.Popen(argv, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, process: "subprocess.Popen[bytes]", *, seconds: float = _START_SECONDS) -> None:
    """Wait until the process listens on the port; ends the benchmark if it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{process.args!r} did not listen on port {port} within {seconds:g} s")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"{name} is not installed; install mariadb-server")
    return found


def _user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _serve_echo(port: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/", answer)])
    uvloop.install()
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    _serve_echo(int(sys.argv[1]))
