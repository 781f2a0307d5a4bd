"""`funai apps|operations|node`, against the real control plane and a node that nobody answers for."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.apps import AppCommand
from protocol.jobs import ClaimJob, CreateJob, JobPayload, JobStatus, JobType, ReportJob
from protocol.nodes import NodeHeartbeat
from tests.console.plane_server import Served, served
from tests.console.test_one_shot import funai
from tests.support.real import free_port

APP = "20001"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane:
        asyncio.run(stop_in_vain(plane))
        yield plane


async def stop_in_vain(plane: Served) -> None:
    admin, runner, node = plane.admin(), plane.runner(), plane.node()
    async with admin.transport, runner.transport, node.transport:
        nobody = f"http://127.0.0.1:{free_port()}"
        await node.heartbeat(NodeHeartbeat(node_name="n1", agent_base_url=nobody, gateway_base_url=nobody))
        payload = JobPayload(user_id="1", app_id=APP)
        await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
        job = await runner.claim(ClaimJob(runner_id="r"))
        assert job is not None
        await runner.report(
            job.id, ReportJob(runner_id="r", lease_token=job.lease_token, status=JobStatus.SUCCEEDED, image="a/b:c")
        )
        assert (await admin.stop_app(AppCommand(user_id="1", app_id=APP))).pending


def test_what_a_node_has_yet_to_do_is_listed_hurried_and_ends_with_the_node(plane: Served) -> None:
    [app] = json.loads(funai(plane.environ, "apps", "-o", "json").stdout)
    assert (app["condition"], app["nodeName"]) == ("STOPPING", "n1")
    shown = funai(plane.environ, "operations").stdout.decode().splitlines()
    assert len(shown) == 2 and "stopping" not in shown[1] and "n1" in shown[1]
    lost = funai(plane.environ, "strays")
    assert lost.returncode == 0 and b"node n1 could not be asked: " in lost.stderr
    assert lost.stdout == b"no container on 0 nodes is without an owner\n"
    drained = funai(plane.environ, "runner-drain", "r")
    assert (drained.returncode, drained.stdout) == (0, b"runner r gets no more work\n")
    assert json.loads(funai(plane.environ, "runners", "-o", "json").stdout)[0]["drainedBy"] == "admin"
    hurried = funai(plane.environ, "operations", "retry", "1")
    assert (hurried.returncode, hurried.stdout) == (0, b"operation 1 on app 20001 is tried now\n")
    refused = funai(plane.environ, "node", "delete", "n1")
    assert refused.returncode == 4 and b"1 apps live there" in refused.stderr and len(refused.stderr.splitlines()) == 1
    gone = funai(plane.environ, "node", "delete", "n1", "--force")
    assert gone.returncode == 0 and b"1 operation is given up: 1\n" in gone.stdout
    late = funai(plane.environ, "operations", "abandon", "1")
    assert late.returncode == 4 and b"ABANDONED" in late.stderr
    assert funai(plane.environ, "operations", "retry").returncode == 2
