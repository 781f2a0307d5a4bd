"""What is on a node, what the other nodes could take, and which of them have an image that is in no registry."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from daemons.deploy.domain.capacity import needs_holder
from daemons.deploy.domain.drains import Resident, resident
from daemons.deploy.domain.images import held_locally
from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode
from daemons.deploy.domain.placement import obstacle_to_new_app, unseen_since
from daemons.deploy.domain.releases import Release, released
from daemons.deploy.ports import Agent, AgentFailed, Transaction

_MOST_APPS: Final = 2000
_CALLS: Final = 8
_PATIENCE_SECONDS: Final = 5.0


async def residents_on(tx: Transaction, node_id: int) -> Sequence[Resident]:
    """The apps that are placed on the node or run there, at most two thousand."""
    return await residents(tx, await tx.apps_on(node_id, _MOST_APPS))


async def residents(tx: Transaction, app_ids: Collection[str]) -> Sequence[Resident]:
    """What these apps run, and where their placements are."""
    placements, runs = await tx.placements_of(app_ids), await tx.app_runs_of(app_ids)
    newest = dict(await tx.newest_releases(app_ids))
    found = []
    for app_id in app_ids:
        run = runs.get(app_id)
        if run is not None and run.last_deployed_at is not None and app_id not in newest:
            earlier = await _unreleased(tx, app_id)
            if earlier is not None:
                newest[app_id] = earlier
        found.append(resident(app_id, placements.get(app_id), run, newest.get(app_id)))
    return found


async def unseen(tx: Transaction, nodes: Sequence[RuntimeNode], policy: NodePolicy) -> dict[int, int]:
    """How many apps each node has or gets that its figures cannot show yet."""
    return dict(await tx.unseen_placements(unseen_since(nodes, policy, await tx.now()), _MOST_APPS))


class Holders:
    """Asks agents for images that are in no registry: a node whose engine has one can start it."""

    def __init__(self, agent: Agent, policy: NodePolicy) -> None:
        self._agent = agent
        self._policy = policy

    async def of(
        self, found: Sequence[Resident], nodes: Sequence[RuntimeNode], now: int
    ) -> Mapping[str, frozenset[int]]:
        """By app, the ids of the nodes that have its image; only of apps whose image is in no registry, and only of
        nodes that may take an app. An agent that does not answer has nothing."""
        wanted = [each for each in found if needs_holder(each)]
        able = [node for node in nodes if obstacle_to_new_app(node, self._policy, now) is None]
        gate = asyncio.Semaphore(_CALLS)
        async with asyncio.TaskGroup() as group:
            tasks = {
                each.app_id: [(node.id, group.create_task(self._has(gate, node, each))) for node in able]
                for each in wanted
            }
        return {
            app_id: frozenset(node_id for node_id, task in asked if task.result()) for app_id, asked in tasks.items()
        }

    async def _has(self, gate: asyncio.Semaphore, node: RuntimeNode, asked: Resident) -> bool:
        if asked.cargo is None or asked.image is None or node.agent_base_url is None:
            return False
        try:
            async with gate, asyncio.timeout(_PATIENCE_SECONDS):
                references = await self._agent.images(node.agent_base_url, asked.cargo.user_id, asked.app_id)
        except (AgentFailed, TimeoutError):
            return False
        return held_locally(asked.image, tuple(references))


async def _unreleased(tx: Transaction, app_id: str) -> Release | None:
    """The newest success of an app from before releases were recorded."""
    job = await tx.newest_success(app_id)
    return None if job is None else released(job, 0, None, None, 0)
