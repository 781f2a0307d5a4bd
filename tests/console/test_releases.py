"""`funai releases` and `funai rollback`, against the real control plane and a node that says which images it has."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from protocol.jobs import ClaimJob, CreateJob, JobPayload, JobStatus, JobType, ReportJob
from protocol.nodes import NodeHeartbeat
from tests.console.plane_server import Served, served
from tests.console.test_one_shot import funai

APP = "20001"
IMAGES = tuple(f"funaistudio/u1-app{APP}:{commit}-{number}" for number, commit in ((1, "1" * 12), (2, "2" * 12)))


class _Agent(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"appId": APP, "images": IMAGES[:1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Tests have no use for it."""


@pytest.fixture
def agent() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Agent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def plane(tmp_path: Path, agent: str) -> Iterator[Served]:
    with served(tmp_path) as plane:
        asyncio.run(deploy_twice(plane, agent))
        yield plane


async def deploy_twice(plane: Served, agent: str) -> None:
    admin, runner, node = plane.admin(), plane.runner(), plane.node()
    async with admin.transport, runner.transport, node.transport:
        await node.heartbeat(NodeHeartbeat(node_name="n1", agent_base_url=agent, gateway_base_url=agent))
        repo = f"ssh://git@127.0.0.1:2222/funai/u1-app{APP}.git"
        payload = JobPayload(user_id="1", app_id=APP, git_ref="main", repo_ssh_url=repo)
        for image in IMAGES:
            await admin.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))
            job = await runner.claim(ClaimJob(runner_id="r"))
            assert job is not None
            commit = image.partition(":")[2][:12]
            done = ReportJob(
                runner_id="r", lease_token=job.lease_token, status=JobStatus.SUCCEEDED, image=image, commit=commit
            )
            await runner.report(job.id, done)


def test_releases_for_people_and_programs(plane: Served) -> None:
    shown = funai(plane.environ, "releases", APP)
    assert (shown.returncode, shown.stderr) == (0, b"")
    lines = [line.split() for line in shown.stdout.decode().splitlines()]
    assert lines[0] == ["NUMBER", "CREATED", "COMMIT", "JOB", "KEPT", "IMAGE"]
    assert (lines[1][:2], lines[1][-1]) == (["*", "2"], IMAGES[1])
    assert (lines[2][0], lines[2][-1]) == ("1", IMAGES[0])
    items = json.loads(funai(plane.environ, "releases", APP, "-o", "json", "-n", "1").stdout)
    assert [(item["number"], item["current"], item["userId"]) for item in items] == [(2, True, "1")]
    assert funai(plane.environ, "releases", "../../admin").returncode == 2


def test_a_rollback_makes_a_job_and_says_where_the_image_is(plane: Served) -> None:
    made = funai(plane.environ, "rollback", APP)
    assert (made.returncode, made.stderr) == (0, b"funai: back to release 1; its image is in the node\n")

    async def payload() -> JobPayload:
        admin = plane.admin()
        async with admin.transport:
            return (await admin.get(made.stdout.decode().strip())).payload

    assert asyncio.run(payload()).image == IMAGES[0]
    busy = funai(plane.environ, "rollback", APP, "--to", "1")
    assert busy.returncode == 4 and b"busy" in busy.stderr
    # What is deployed next is built again, from where the app was built before.
    again = funai(plane.environ, "deploy", APP, "--supersede")
    made = again
    assert again.returncode == 0, again.stderr
    assert asyncio.run(payload()).image is None and asyncio.run(payload()).git_ref == "main"


def test_what_cannot_come_back_is_said_in_one_line(plane: Served) -> None:
    gone = funai(plane.environ, "rollback", APP, "--to", "2")
    assert gone.returncode == 4 and gone.stdout == b""
    assert b"n1 does not have it" in gone.stderr and len(gone.stderr.splitlines()) == 1
    assert funai(plane.environ, "rollback", "20009").returncode == 1
    assert funai(plane.environ, "rollback", APP, "--to", "0").returncode == 2
