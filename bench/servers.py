"""What measurements run against: a MariaDB of their own with full durability, and control planes on it."""

import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.lifecycle import TOKENS, Daemon, child, execute, free_port
from tests.support import real


@contextmanager
def mariadb() -> Iterator[str]:
    """The URL of a new database: on the server FUNAI_BENCH_DB, or on one that is started for the block."""
    with ExitStack() as stack:
        server = os.environ.get("FUNAI_BENCH_DB")
        if not server:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="funai-bench-"))
            server = stack.enter_context(real.mariadb(Path(folder)))
        name = f"funai_bench_{secrets.token_hex(4)}"
        execute(server, f"CREATE DATABASE {name}")
        stack.callback(execute, server, f"DROP DATABASE {name}")
        yield f"{server.rstrip('/')}/{name}"


@contextmanager
def replicas(url: str, count: int, *, stale_seconds: int = 3600) -> Iterator[list[Daemon]]:
    """So many control planes on one database, which take the same tokens."""
    tokens = {name: secrets.token_urlsafe(32) for name in (*TOKENS, "RUNTIME_AGENT_TOKEN")}
    with ExitStack() as stack:
        daemons = []
        for _ in range(count):
            port = free_port()
            settings = {
                "DEPLOY_DB_URL": url,
                "DEPLOY_PORT": str(port),
                "FUNAI_LOG_LEVEL": "WARNING",
                "DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS": str(stale_seconds),
            }
            process = stack.enter_context(child([sys.executable, "-m", "daemons.deploy"], tokens | settings))
            daemons.append(Daemon(f"http://127.0.0.1:{port}", process.pid, tokens))
        yield daemons
