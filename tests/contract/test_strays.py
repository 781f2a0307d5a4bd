"""Containers that nobody answers for, over every database: told, and never touched."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.nodes import AppRun, NodeNotFound, NodePolicy, Placement, RuntimeNode
from daemons.deploy.domain.operations import Request, asked
from daemons.deploy.domain.strays import Container
from daemons.deploy.ports import AgentFailed, Store, Transaction
from daemons.deploy.services.strays import Strays
from protocol.jobs import JobStatus
from protocol.nodes import NodeCollected
from protocol.operations import OperationKind
from tests.contract.test_store import job


@dataclass
class Agents:
    """What the nodes have, by agent address, each answer once while there are more; nothing else is asked of them."""

    answers: dict[str, list[list[Container]]] = field(default_factory=dict)

    async def collect(self, base_url: str) -> NodeCollected:
        raise AssertionError("nobody asked for that")

    async def containers(self, base_url: str) -> Sequence[Container]:
        if base_url not in self.answers:
            raise AgentFailed("the runtime agent did not say which containers it has: no such page")
        found = self.answers[base_url]
        return found.pop(0) if len(found) > 1 else found[0]

    async def images(self, base_url: str, user_id: str, app_id: str) -> Sequence[str]:
        raise AssertionError

    async def stop(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        raise AssertionError

    async def delete(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        raise AssertionError


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


def container(app_id: str, user_id: str = "7", *, running: bool = True) -> Container:
    return Container(f"rt-u-{user_id}-{app_id}-r1", user_id, app_id, running)


async def fleet(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        now = await tx.now()
        for number in (1, 2, 3):
            node = RuntimeNode(0, f"n{number}", f"http://a{number}", "http://g", last_heartbeat_at=now)
            await tx.insert_node(node if number != 3 else replace(node, last_heartbeat_at=None))

    await store.transact(work)


async def test_what_nobody_answers_for_is_told_with_its_reason(store: Store) -> None:
    await fleet(store)

    async def work(tx: Transaction) -> None:
        now = await tx.now()
        for number, app_id in enumerate(("here", "there", "stopped", "ended", "stolen", "stopping", "left")):
            ended = replace(job(number, app_id), status=JobStatus.SUCCEEDED)
            await tx.insert_job(ended)
            await tx.put_placement(Placement(app_id, 2 if app_id in ("there", "left") else 1, now))
            status = "STOPPED" if app_id in ("stopped", "ended") else "SUCCEEDED"
            await tx.put_app_run(AppRun(app_id, 1 if app_id == "left" else None, last_job_status=status))
        await tx.insert_job(job(50, "queued"))
        request = Request(OperationKind.STOP, "stopping", "7", 1, "test", Actor("admin"))
        await tx.put_placement(Placement("stopping", 2, now))
        await tx.insert_operation(asked(request, 3, None, now))

    await store.transact(work)
    known = [container(each) for each in ("here", "there", "stopped", "queued", "stopping", "left", "nobodys")]
    known += [container("ended", running=False), container("stolen", "8")]
    strays = Strays(store, Agents({"http://a1": [known], "http://a2": [[container("there")]]}), NodePolicy())

    _, (first, second, third) = await strays.look(None)

    assert {each.container.app_id: str(each.reason.slug) for each in first.strays} == {
        "nobodys": "unknown_app",
        "stolen": "other_owner",
        "there": "elsewhere",
        "stopped": "stopped",
    }
    assert all(each.reason.words for each in first.strays)
    assert (second.strays, second.problem, third.problem) == ((), None, "never sent a heartbeat")


async def test_one_that_was_just_being_removed_is_not_told_and_nodes_that_cannot_say_are_named(store: Store) -> None:
    await fleet(store)
    going, staying = container("going"), container("staying")
    agents = Agents({"http://a1": [[going, staying], [staying]]})
    _, found = await Strays(store, agents, NodePolicy()).look(None)
    assert [each.container.app_id for each in found[0].strays] == ["staying"]
    assert found[1].problem is not None and "no such page" in found[1].problem

    _, (alone,) = await Strays(store, agents, NodePolicy()).look("n1")
    assert alone.node.name == "n1"
    with pytest.raises(NodeNotFound):
        await Strays(store, agents, NodePolicy()).look("n9")
