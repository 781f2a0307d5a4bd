"""Who is there: runtime nodes as their agents and operators tell of them, runners as they call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from daemons.deploy.domain import expected, nodes
from daemons.deploy.domain.addresses import AgentAddresses
from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.nodes import NodePolicy, Runner, RunnerNotFound, RuntimeNode
from daemons.deploy.domain.views import runner_view
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.heartbeats import APART_SECONDS, Heartbeats, named, tell
from daemons.deploy.services.journal import NodeChange
from protocol.nodes import NodeHeartbeat, RunnerVitals, UpsertNode


@dataclass(frozen=True, slots=True)
class NodeList:
    """All nodes with the number of apps on each, as of `now`."""

    now: int
    nodes: Sequence[RuntimeNode]
    placements: dict[int, int]


class NodeRegistry:
    """Runtime nodes."""

    def __init__(
        self,
        store: Store,
        bells: Bells,
        policy: NodePolicy,
        apart: float = APART_SECONDS,
        addresses: AgentAddresses | None = None,
    ) -> None:
        self._addresses = addresses or AgentAddresses()
        self._store = store
        self._bells = bells
        self._policy = policy
        self._heartbeats = Heartbeats(store, bells, policy, apart)

    async def heartbeat(self, beat: NodeHeartbeat, address: str | None = None) -> RuntimeNode:
        """Register the node or refresh its figures; `Heartbeats` says when it is written. Only a new node or a new
        address is an event of the log, and only what may let a job start wakes those who hand out jobs.

        Raises NodeDeleted for one that an operator deleted, and AgentAddressRefused.
        """
        self._addresses.check(beat.agent_base_url)
        return await self._heartbeats.hear(beat, address)

    async def upsert(self, order: UpsertNode, actor: Actor) -> RuntimeNode:
        """Register or edit a node; a new one counts as silent until its agent calls, and one that was deleted may come
        back. Raises AgentAddressRefused."""
        self._addresses.check(order.agent_base_url)

        async def work(tx: Transaction) -> RuntimeNode:
            now = await tx.now()
            before = await tx.node_named(order.name, lock=True)
            if before is None:
                await tx.delete_tombstone(order.name)
                fresh = RuntimeNode(0, order.name, None, None, created_at=now)
                inserted = await tx.insert_node(nodes.edited(fresh, order, now))
                if inserted is not None:
                    await tell(tx, NodeChange("registered", inserted, None), self._policy, actor)
                    return inserted
                before = await named(tx, order.name)
            after = nodes.edited(before, order, now)
            await tx.save_node(after)
            await tell(tx, NodeChange("edited", after, before), self._policy, actor)
            return after

        return self._changed(await self._store.transact(work))

    async def set_enabled(self, name: str, *, enabled: bool, actor: Actor, seen: str | None = None) -> RuntimeNode:
        """Cordon or uncordon a node that is still as it was `seen`. Raises NodeNotFound and ChangedMeanwhile."""

        async def work(tx: Transaction) -> RuntimeNode:
            before = await named(tx, name)
            if before.enabled is enabled:
                return before
            expected.require_node(before, seen)
            now = await tx.now()
            after = replace(before, enabled=enabled, updated_at=now)
            await tx.save_node(after)
            change = NodeChange("enabled" if enabled else "disabled", after, before)
            await tell(tx, change, self._policy, actor)
            return after

        return self._changed(await self._store.transact(work))

    async def nodes(self) -> NodeList:
        """All nodes."""

        async def work(tx: Transaction) -> NodeList:
            return NodeList(await tx.now(), await tx.nodes(), dict(await tx.count_placements()))

        return await self._store.transact(work)

    def _changed(self, node: RuntimeNode) -> RuntimeNode:
        self._bells.changed()
        return node


class RunnerRegistry:
    """Runners. Calls are noted in memory and written once a second: a heartbeat costs no transaction for it."""

    def __init__(self, store: Store, bells: Bells, stale_ms: int) -> None:
        """A runner that was not heard for `stale_ms` is told as stale."""
        self._store = store
        self._bells = bells
        self._stale_ms = stale_ms
        self._heard: dict[str, Runner] = {}

    def heard(
        self,
        runner_id: str,
        *,
        slots: int | None = None,
        version: str | None = None,
        host: str | None = None,
        labels: tuple[str, ...] | None = None,
        vitals: RunnerVitals | None = None,
    ) -> None:
        """Note that a runner called; what it did not say this time stays as it was."""
        before = self._heard.get(runner_id) or Runner(runner_id, 0)
        self._heard[runner_id] = Runner(
            runner_id,
            0,
            slots or before.slots,
            version or before.version,
            host or before.host,
            before.labels if labels is None else labels,
            vitals or before.vitals,
        )

    async def write(self) -> None:
        """Write what was noted."""
        heard, self._heard = self._heard, {}
        if not heard:
            return

        async def work(tx: Transaction) -> None:
            now = await tx.now()
            await tx.touch_runners([replace(runner, last_seen_at=now, vitals_at=now) for runner in heard.values()])

        await self._store.transact(work)

    async def drain(
        self, runner_id: str, *, drained: bool, actor: Actor, seen: str | None = None
    ) -> tuple[int, Runner]:
        """Let a runner, as it was `seen`, take no more work (what it holds it finishes), or take work again; the
        database's clock and the runner. Raises RunnerNotFound and ChangedMeanwhile."""
        await self.write()

        async def work(tx: Transaction) -> tuple[int, Runner]:
            now, before = await tx.now(), (await tx.runners_named({runner_id})).get(runner_id)
            if before is None:
                raise RunnerNotFound(runner_id)
            if (before.drained_at is not None) is drained:
                return now, before
            expected.require_runner(before, seen)
            at, by = (now, actor.name) if drained else (None, None)
            after = replace(before, drained_at=at, drained_by=by)
            await tx.drain_runner(after)
            views = [runner_view(each, self._stale_ms, now).to_json().decode() for each in (after, before)]
            change = "drained" if drained else "undrained"
            await tx.append(NewEvent("runner", change, runner_id, actor, views[0], before=views[1]))
            return now, after

        answer = await self._store.transact(work)
        self._bells.changed()
        return answer

    async def runners(self) -> tuple[int, Sequence[Runner]]:
        """The database's clock, and all runners."""
        await self.write()

        async def work(tx: Transaction) -> tuple[int, Sequence[Runner]]:
            return await tx.now(), await tx.runners()

        return await self._store.transact(work)
