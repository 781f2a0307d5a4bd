"""A real MariaDB under the schedules: real row locks, skipped rows, deadlocks, and transactions whose statements mix.

Its answers come when they come, so a schedule is repeated as far as they allow.
"""

import os
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlsplit

import pymysql

from daemons.deploy.adapters.store import open_store
from tests.model.faults import Clock, ModelStore, Outside
from tests.model.loop import OwnTimeLoop
from tests.model.replicas import ServiceReplica
from tests.model.world import World

_KEPT: Final = "fun_ai_schema_migration"


class MariadbParts:
    """A database of this process on the server at `server_url`, and services."""

    def __init__(self, server_url: str) -> None:
        self.loop = OwnTimeLoop(sockets=True)
        self.clock = Clock(self.loop.time)
        self.outside = Outside()
        self.loop.busy = lambda: self.outside.waiting > 0
        self.loop.may_jump = lambda: self.outside.pausing > 0
        parts = urlsplit(server_url)
        self._name = f"schedules_{os.getpid()}"
        self._server = pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or ""
        )
        with self._server.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {self._name}")
        self._server.select_db(self._name)
        self._opened = AsyncExitStack()
        with self.outside.asked():
            opening = self._opened.enter_async_context(open_store(f"{server_url}/{self._name}"))
            self.store = self.loop.run_until_complete(opening)
        with self._server.cursor() as cursor:
            cursor.execute("SHOW TABLES")
            self._tables = [name for (name,) in cursor.fetchall() if name != _KEPT]

    def empty(self) -> None:
        """As new, for the next schedule."""
        self.clock.reset()
        with self._server.cursor() as cursor:
            for table in self._tables:
                cursor.execute(f"DELETE FROM {table}")
        self._server.commit()

    async def replica(self, world: World) -> ServiceReplica:
        """A new process."""
        return ServiceReplica(world, ModelStore(self.store, world, self.outside))

    def close(self) -> None:
        """Let go of everything."""
        with self.outside.asked():
            self.loop.run_until_complete(self._opened.aclose())
        with self._server, self._server.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {self._name}")
        self.loop.close()
