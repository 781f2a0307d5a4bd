"""Asks nodes which containers they have, and tells those that nobody answers for.

A node is asked first and the catalogue read then, so that a container of a job or an order that came in between is not
taken for a stray; and a node with strays is asked once more, so that one that was just being removed is not told.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from daemons.deploy.domain.apps import AppFacts
from daemons.deploy.domain.nodes import NodeNotFound, NodePolicy, Reason, RuntimeNode, fresh, silence
from daemons.deploy.domain.strays import Container, stray
from daemons.deploy.ports import Agent, AgentFailed, Store, Transaction
from daemons.deploy.services.catalogue import facts_of

_CALLS: Final = 8
_PATIENCE_SECONDS: Final = 5.0
_APPS: Final = 500


@dataclass(frozen=True, slots=True)
class Stray:
    """A container that nobody answers for, and why."""

    container: Container
    reason: Reason


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found on one node; `problem` says why it could not be asked."""

    node: RuntimeNode
    strays: tuple[Stray, ...] = ()
    problem: str | None = None


class Strays:
    """Looks for containers that nobody answers for."""

    def __init__(self, store: Store, agent: Agent, policy: NodePolicy) -> None:
        self._store = store
        self._agent = agent
        self._policy = policy

    async def look(self, name: str | None) -> tuple[int, Sequence[Looked]]:
        """The database's clock, and what was found on every node, or on the one of this name. Raises NodeNotFound."""

        async def work(tx: Transaction) -> tuple[int, Sequence[RuntimeNode]]:
            return await tx.now(), await tx.nodes()

        now, nodes = await self._store.transact(work)
        wanted = [node for node in nodes if name is None or node.name == name]
        if name is not None and not wanted:
            raise NodeNotFound(name)
        gate = asyncio.Semaphore(_CALLS)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._look_at(gate, node, now)) for node in wanted]
        return now, [task.result() for task in tasks]

    async def _look_at(self, gate: asyncio.Semaphore, node: RuntimeNode, now: int) -> Looked:
        if node.agent_base_url is None or not fresh(node, self._policy, now):
            return Looked(node, problem=silence(node, now))
        try:
            async with gate:
                found = await self._judge(node.id, await self._ask(node.agent_base_url))
                if found:
                    still = {each.name for each in await self._ask(node.agent_base_url)}
                    found = [each for each in found if each.container.name in still]
        except AgentFailed as error:
            return Looked(node, problem=str(error))
        except TimeoutError:
            return Looked(node, problem=f"its agent did not answer within {_PATIENCE_SECONDS:g} s")
        return Looked(node, tuple(found))

    async def _ask(self, base_url: str) -> Sequence[Container]:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await self._agent.containers(base_url)

    async def _judge(self, node_id: int, containers: Sequence[Container]) -> list[Stray]:
        found: list[Stray] = []
        app_ids = sorted({each.app_id for each in containers})
        for start in range(0, len(app_ids), _APPS):
            some = app_ids[start : start + _APPS]
            facts = {each.app_id: each for each in await self._store.transact(partial(_facts, some))}
            for container in containers:
                if container.app_id in facts:
                    reason = stray(container, node_id, facts[container.app_id])
                    found += [Stray(container, reason)] if reason else []
        return found


async def _facts(app_ids: Sequence[str], tx: Transaction) -> Sequence[AppFacts]:
    return await facts_of(tx, app_ids)
