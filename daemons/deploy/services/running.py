"""Looking into apps that run: finds the node that has an app, asks its agent, and passes on what it says."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.nodes import NodeNotFound, RuntimeNode
from daemons.deploy.ports import AgentFailed, AgentRefused, RunningApps, Store, Transaction
from daemons.deploy.services.apps import AppNotPlaced
from daemons.kit.seats import NoSeat, Seats
from protocol.running import AppLogQuery, AppOutputQuery, AppStatsQuery, NodeStats

_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+")
_MOST_READERS: Final = 100
_MOST_READERS_OF_ONE: Final = 8


class AppNotRunning(LookupError):
    """The app's node has no container of it."""


class AppDown(Exception):
    """The app's container does not run."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where an app runs, and whose it is there."""

    node: RuntimeNode
    user_id: str


class Running:
    """What operators see of apps that run."""

    def __init__(self, store: Store, agents: RunningApps) -> None:
        self._store = store
        self._agents = agents
        self._readers = Seats("log readers", _MOST_READERS, _MOST_READERS_OF_ONE)

    @asynccontextmanager
    async def log(self, app_id: str, asked: AppLogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        """The app's output as its agent streams it. Entering it raises AppNotPlaced, AppNotRunning, NoSeat and
        AgentFailed; reading it AgentFailed."""
        with self._readers.take(f"app {app_id}"):
            host = await self.host(app_id)
            order = AppOutputQuery(
                user_id=host.user_id, app_id=app_id, cursor=asked.cursor, tail=asked.tail, follow=asked.follow
            )
            with in_words(host.node, f"the log of app {app_id}"):
                async with self._agents.output(host.node.agent_base_url or "", order) as chunks:
                    yield chunks

    def close(self) -> None:
        """Send all readers away; each has its cursor and comes again."""
        self._readers.close()

    async def app_stats(self, app_id: str) -> NodeStats:
        """What the app uses. Raises AppNotPlaced, AppNotRunning and AgentFailed."""
        host = await self.host(app_id)
        with in_words(host.node, f"the figures of app {app_id}"):
            asked = AppStatsQuery(user_id=host.user_id, app_id=app_id)
            found = await self._agents.stats(host.node.agent_base_url or "", asked)
        return found.model_copy(update={"node": host.node.name})

    async def node_stats(self, name: str) -> NodeStats:
        """What every app of the node uses. Raises NodeNotFound and AgentFailed."""

        async def work(tx: Transaction) -> RuntimeNode | None:
            return await tx.node_named(name)

        node = await self._store.transact(work)
        if node is None:
            raise NodeNotFound(name if _PLAIN.fullmatch(name) else "of that name")
        with in_words(node, "the figures of its apps"):
            found = await self._agents.stats(node.agent_base_url or "", AppStatsQuery())
        return found.model_copy(update={"node": node.name})

    async def host(self, app_id: str) -> Host:
        """The node that the app lives on or, without one, where it was seen last. Raises AppNotPlaced."""

        async def work(tx: Transaction) -> Host | None:
            placement, run = await tx.placement(app_id), await tx.app_run(app_id)
            owner = (await tx.owners_of([app_id])).get(app_id)
            for node_id in (placement.node_id if placement else None, run.node_id if run else None):
                node = await tx.node(node_id) if node_id is not None else None
                if node is not None and node.agent_base_url and owner is not None:
                    return Host(node, owner)
            return None

        found = await self._store.transact(work)
        if found is None:
            raise AppNotPlaced(app_id)
        return found


@contextmanager
def in_words(node: RuntimeNode, what: str) -> Iterator[None]:
    """What an agent says, with the node's name."""
    try:
        yield
    except AgentRefused as refusal:
        if refusal.busy:
            raise NoSeat(f"node {node.name}: {refusal}") from refusal
        if refusal.down:
            raise AppDown(f"node {node.name} cannot give {what}: {refusal}") from refusal
        raise AppNotRunning(f"node {node.name} does not have {what}: it does not run there") from refusal
    except AgentFailed as error:
        raise AgentFailed(f"node {node.name} cannot give {what}: {error}") from error
