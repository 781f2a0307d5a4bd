"""Looking into apps that run: finds the node that has an app, asks its agent, and passes on what it says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.nodes import RuntimeNode
from daemons.deploy.ports import AgentFailed, AgentRefused, RunningApps, Store, Transaction
from daemons.deploy.services.apps import AppNotPlaced
from daemons.kit.seats import NoSeat, Seats
from protocol.running import AppLogQuery, AppOutputQuery

_MOST_READERS: Final = 100
_MOST_READERS_OF_ONE: Final = 8


class AppNotRunning(LookupError):
    """The app's node has no container of it."""


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
            try:
                async with self._agents.output(host.node.agent_base_url or "", order) as chunks:
                    yield chunks
            except AgentRefused as refusal:
                if refusal.busy:
                    raise NoSeat(f"node {host.node.name}: {refusal}") from refusal
                raise AppNotRunning(f"app {app_id} does not run on its node {host.node.name}") from refusal
            except AgentFailed as error:
                raise AgentFailed(f"node {host.node.name} cannot give the log of app {app_id}: {error}") from error

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
