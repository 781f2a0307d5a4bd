"""Stops and deletes reach a node that was away: real control plane, database, agent, gateway and engine."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest

from tests.http.deploy.plane import HEADERS, TOKENS
from tests.support import real, runtime_node
from tests.support.runtime_node import RuntimeNode, Workshop

pytestmark = pytest.mark.real
_RUN = secrets.token_hex(3)
_ROOT = Path(__file__).resolve().parents[2]


class ControlPlane:
    """`python -m daemons.deploy`, which may be killed and started again on the same database."""

    def __init__(self, folder: Path, db_url: str, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{real.free_port()}"
        self._log = folder / "deploy.log"
        self._environment = {
            "PATH": os.environ["PATH"],
            "DEPLOY_PORT": self.url.rpartition(":")[2],
            "DEPLOY_DB_URL": db_url,
            "DEPLOY_ADMIN_TOKEN": TOKENS["admin"],
            "DEPLOY_PROXY_AUTH_SHARED_SECRET": TOKENS["api"],
            "DEPLOY_RUNNER_TOKEN": TOKENS["runner"],
            "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN,
            "RUNTIME_AGENT_TOKEN": runtime_node.TOKEN,
            "DEPLOY_RUNTIME_AGENT_TIMEOUT_SECONDS": "10",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it is ready."""
        argv = [sys.executable, "-m", "daemons.deploy"]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(argv, stdout=output, stderr=output, env=self._environment, cwd=_ROOT)
        real.wait_until(self._ready, "the control plane's start")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """As a crash would."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)
            self._process.wait(90)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/internal/ready", trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False

    def call(self, role: str, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """The data of a successful answer."""
        proof = {HEADERS[role]: TOKENS[role]}
        answer = httpx.request(
            method, f"{self.url}{path}", json=body, headers=proof, timeout=120, trust_env=False, verify=False
        )
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def command(self, verb: str, app_id: str) -> Any:
        """`POST /deploy/apps/<verb>` as the API."""
        return self.call("api", "POST", f"/deploy/apps/{verb}", {"userId": "7", "appId": app_id})

    def app(self, app_id: str) -> Any:
        """`GET /deploy/apps/<app_id>`."""
        return self.call("api", "GET", f"/deploy/apps/{app_id}")

    def operation(self, number: int) -> Any:
        """`GET /deploy/operations/<number>`."""
        return self.call("api", "GET", f"/deploy/operations/{number}")

    def ended(self, number: int) -> bool:
        """Whether the operation is done or abandoned; it is hurried on."""
        if self.operation(number)["state"] == "PENDING":
            proof = {HEADERS["admin"]: TOKENS["admin"]}
            httpx.post(
                f"{self.url}/admin/operations/{number}/retry", headers=proof, timeout=120, trust_env=False, verify=False
            )
        return bool(self.operation(number)["state"] != "PENDING")

    def deploy(self, node: RuntimeNode, app_id: str, image: str) -> int:
        """What a runner does for a job: claim, deploy, report; the fence."""
        payload = {"userId": "7", "appId": app_id, "image": image}
        self.call("api", "POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload})
        job = self.call("runner", "POST", "/deploy/jobs/claim", {"runnerId": "r", "waitSeconds": 10})
        answer = node.deploy(app_id, image, job["fence"])
        assert answer.is_success, answer.text
        done = {"runnerId": "r", "leaseToken": job["leaseToken"], "status": "SUCCEEDED", "image": image}
        self.call("runner", "POST", f"/deploy/jobs/{job['id']}/report", done)
        return int(job["fence"])


@contextmanager
def control_plane(folder: Path, db_url: str, **settings: str) -> Iterator[ControlPlane]:
    plane = ControlPlane(folder, db_url, **settings)
    try:
        plane.start()
        yield plane
    finally:
        plane.kill(signal.SIGTERM)


@pytest.fixture
def database(mariadb_url: str) -> Iterator[str]:
    name, (_, _, address) = f"operations_{_RUN}", mariadb_url.partition("://")
    login, _, place = address.rpartition("@")
    user, _, password = login.partition(":")
    host, _, port = place.partition(":")
    server = pymysql.connect(host=host, port=int(port), user=user, password=password, autocommit=True)
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory, docker_url: str) -> Iterator[Workshop]:
    shop = Workshop(docker_url, tmp_path_factory.mktemp("images"), f"operations-{_RUN}")
    yield shop
    shop.close()


def test_a_stop_and_a_delete_survive_the_death_of_everybody_and_are_done_when_the_node_is_back(
    tmp_path: Path, database: str, docker_url: str, workshop: Workshop
) -> None:
    with control_plane(tmp_path, database) as plane:
        where = {"DEPLOY_BASE_URL": plane.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
        with runtime_node.node(tmp_path / "n", docker_url, f"ops-a-{_RUN}", **where) as node:
            kept, gone = f"k{_RUN}", f"g{_RUN}"
            for app_id in (kept, gone):
                plane.deploy(node, app_id, workshop.page(app_id, "1", "v1"))
            node.kill_agent()
            stopped, deleted = plane.command("stop", kept), plane.command("cleanup", gone)
            assert stopped["pending"] and deleted["pending"]
            assert plane.app(gone)["condition"] == "DELETING" and plane.app(kept)["condition"] == "STOPPING"
            assert "it will be tried again" in plane.app(kept)["message"]
            assert len(node.containers(kept)) == len(node.containers(gone)) == 1, "they still run"
            plane.kill()
            plane.start()
            node.start_agent()
            for answer in (stopped, deleted):
                number = answer["operations"][0]["id"]
                real.wait_until(lambda number=number: plane.ended(number), "the end of the operation")  # type: ignore[misc]
                assert plane.operation(number)["state"] == "DONE"
            assert node.containers(kept) == node.containers(gone) == []
            assert plane.app(kept)["condition"] == "STOPPED"
            apps = plane.call("api", "GET", "/deploy/apps")["items"]
            assert [app["appId"] for app in apps] == [kept], "the deleted one is forgotten, only now"


def test_a_stop_is_abandoned_when_the_app_was_deployed_there_again_meanwhile(
    tmp_path: Path, docker_url: str, workshop: Workshop
) -> None:
    with control_plane(tmp_path, f"sqlite:///{tmp_path}/deploy.db") as plane:
        where = {"DEPLOY_BASE_URL": plane.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
        # The runner reaches the agent, the control plane does not: nobody listens at the address that it is told.
        lost = {"RUNTIME_NODE_AGENT_BASE_URL": f"http://127.0.0.1:{real.free_port()}"}
        with runtime_node.node(tmp_path / "n", docker_url, f"ops-b-{_RUN}", **where, **lost) as node:
            app_id = f"b{_RUN}"
            plane.deploy(node, app_id, workshop.page(app_id, "1", "v1"))
            stopped = plane.command("stop", app_id)
            assert stopped["pending"]
            fence = plane.deploy(node, app_id, workshop.page(app_id, "2", "v2"))
            number = stopped["operations"][0]["id"]
            real.wait_until(lambda: plane.ended(number), "the end of the operation")
            ended = plane.operation(number)
            assert (ended["state"], ended["reason"]) == ("ABANDONED", "deployed_again"), ended
            assert plane.app(app_id)["condition"] == "RUNNING"
            new = f"rt-u-7-{app_id}-r{fence}"
            real.wait_until(lambda: node.settled(app_id, new), "the old container's retirement")
            late = {"userId": "7", "appId": app_id, "fence": ended["fence"]}
            refused = node.post("/agent/apps/stop", late)
            assert (refused.status_code, refused.json()["reason"]) == (409, "stale_fence"), "nor would the agent do it"
            assert node.page(f"/runtime/{app_id}/").text == "v2\n"
