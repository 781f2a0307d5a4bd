"""What operators have nodes tidy up."""

from daemons.deploy.domain import expected
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import NodePolicy, RuntimeNode
from daemons.deploy.ports import Agent, AgentFailed, Store, Transaction
from daemons.deploy.services.heartbeats import named, tell
from daemons.deploy.services.journal import NodeChange
from protocol.nodes import NodeCollected


class Housekeeping:
    """Garbage collection of a node's disk on demand; the agent collects by itself when the disk gets full."""

    def __init__(self, store: Store, agent: Agent, policy: NodePolicy) -> None:
        self._store = store
        self._agent = agent
        self._policy = policy

    async def collect(self, name: str, actor: Actor, seen: str | None = None) -> NodeCollected:
        """Have the node, as it was `seen`, remove everything that nobody needs. That it was asked is told before the
        agent is called. Raises NodeNotFound, ChangedMeanwhile and AgentFailed."""

        async def work(tx: Transaction) -> RuntimeNode:
            node = await named(tx, name)
            expected.require_node(node, seen)
            await tell(tx, NodeChange("collect_asked", node, None), self._policy, actor)
            return node

        node = await self._store.transact(work)
        if not node.agent_base_url:
            raise AgentFailed(f"node {name} was registered by hand and its agent has not called yet")
        try:
            return await self._agent.collect(node.agent_base_url)
        except AgentFailed as error:
            raise AgentFailed(f"node {name}: {error}", error.reason) from error
