"""Draining a node over real processes: nobody's request fails, whoever is killed on the way."""

import os
import secrets
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pymysql
import pytest

from tests.http.deploy.plane import TOKENS
from tests.support import real, runtime_node
from tests.support.runtime_node import RuntimeNode, Workshop
from tests.support.whole_path import Runner
from tests.system.test_operations import ControlPlane, control_plane

pytestmark = [pytest.mark.real, pytest.mark.slow]
_RUN = secrets.token_hex(3)
_SECONDS_PER_APP = 50


@pytest.fixture
def database(mariadb_url: str) -> Iterator[str]:
    with new_database(mariadb_url, f"drain_{_RUN}") as url:
        yield url


@contextmanager
def new_database(mariadb_url: str, name: str) -> Iterator[str]:
    parts = urlsplit(mariadb_url)
    login = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    server: Any = pymysql.connect(**login, autocommit=True)
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def node(plane: ControlPlane, folder: Path, engine: str, name: str, ports: str) -> Iterator[RuntimeNode]:
    where = {"DEPLOY_BASE_URL": plane.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
    pace = {"DEPLOY_HEARTBEAT_SECONDS": "1", "RUNTIME_DRAIN_SECONDS": "2", "RUNTIME_APP_PORTS": ports}
    with runtime_node.node(folder / name, engine, f"drain-{name}-{_RUN}", **where, **pace) as running:
        yield running


@contextmanager
def runner(plane: ControlPlane, folder: Path, engine: str) -> Iterator[Runner]:
    settings = {
        "PATH": os.environ["PATH"],
        "DEPLOY_BASE_URL": plane.url,
        "DEPLOY_RUNNER_TOKEN": TOKENS["runner"],
        "RUNTIME_AGENT_TOKEN": runtime_node.TOKEN,
        "DOCKER_HOST": engine,
        "JOB_LEASE_SECONDS": "6",
        "POLL_SECONDS": "0.2",
    }
    running = Runner(folder, f"runner-{_RUN}", settings)
    try:
        running.start()
        yield running
    finally:
        running.close()


@contextmanager
def visited(app_ids: Sequence[str], *nodes: RuntimeNode) -> Iterator[Counter[str]]:
    """Somebody asks for each of these apps all the time, at each of the nodes until one answers; counts who did not get
    a page of the right app."""
    seen: Counter[str] = Counter()
    done = threading.Event()

    def asked(client: httpx.Client, app_id: str) -> str:
        answers = []
        for each in nodes:
            try:
                answer = client.get(f"{each.gateway_url}/runtime/{app_id}/")
                if answer.is_success and answer.text == f"{app_id}\n":
                    return "served"
                answers.append(str(answer.status_code))
            except httpx.HTTPError as error:
                answers.append(type(error).__name__)
        return f"{app_id}: {' and '.join(answers)}"

    def look() -> None:
        with httpx.Client(timeout=5, trust_env=False, verify=False) as client:
            while not done.wait(0.01):
                for app_id in app_ids:
                    seen[asked(client, app_id)] += 1

    visitor = threading.Thread(target=look)
    visitor.start()
    try:
        yield seen
    finally:
        done.set()
        visitor.join()


def publish(plane: ControlPlane, app_id: str, image: str) -> None:
    payload = {"userId": "7", "appId": app_id, "image": image}
    job = plane.call("api", "POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload})
    ended = ("SUCCEEDED", "FAILED", "CANCELLED")
    real.wait_until(lambda: plane.call("api", "GET", f"/deploy/jobs/{job['id']}")["status"] in ended, "the end")
    found = plane.call("api", "GET", f"/deploy/jobs/{job['id']}")
    assert found["status"] == "SUCCEEDED", found["errorMessage"]


def drain(plane: ControlPlane, number: int) -> dict[str, Any]:
    found: dict[str, Any] = plane.call("admin", "GET", f"/admin/drains/{number}")
    return found


def over(plane: ControlPlane, number: int) -> bool:
    return drain(plane, number)["state"] not in ("RUNNING", "UNDOING")


def settled(node: RuntimeNode, *app_ids: str) -> bool:
    """Whether the node has one container of each of these apps, and no other."""
    return all(len(node.containers(app_id)) == 1 for app_id in app_ids) and len(node.containers()) == len(app_ids)


def begun(plane: ControlPlane, number: int, state: str) -> bool:
    return state in drain(plane, number)["counts"]


@pytest.mark.timeout(3600)
def test_a_drain_and_its_undo_survive_every_death_and_nobody_notices(
    tmp_path: Path, database: str, docker_url: str, request: pytest.FixtureRequest
) -> None:
    count = int(request.config.getoption("--drained"))
    app_ids, seconds = [f"a{number}-{_RUN}" for number in range(count)], count * _SECONDS_PER_APP
    shop = Workshop(docker_url, tmp_path / "images", f"drain-{_RUN}")
    with ExitStack() as stack:
        stack.callback(shop.close)
        plane = stack.enter_context(control_plane(tmp_path, database))
        first = stack.enter_context(node(plane, tmp_path, docker_url, "a", "32000-32199"))
        runs = stack.enter_context(runner(plane, tmp_path, docker_url))
        for app_id in app_ids:
            publish(plane, app_id, shop.page(app_id, "0a1b2c3-1", app_id))
        second = stack.enter_context(node(plane, tmp_path, docker_url, "b", "32200-32399"))
        # A node that has just come answers for its images once its agent has looked around.
        asked = {"node": first.name}
        real.wait_until(
            lambda: plane.call("admin", "POST", "/admin/drains/preview", asked)["fits"], "room on the second node"
        )
        with visited(app_ids, first, second) as seen:
            number = int(plane.call("admin", "POST", "/admin/drains", {"node": first.name})["id"])
            real.wait_until(lambda: begun(plane, number, "MOVING"), "the first move")
            plane.kill()
            plane.start()
            real.wait_until(lambda: begun(plane, number, "MOVED") or over(plane, number), "a move's end")
            runs.kill()
            runs.start()
            second.kill_agent()
            second.start_agent()
            plane.kill()
            plane.start()
            real.wait_until(lambda: over(plane, number), "the drain's end", seconds)
            assert drain(plane, number)["summary"] == f"DONE {count} of {count} moved", drain(plane, number)
            real.wait_until(lambda: first.containers() == [], "the end of every old copy")
            real.wait_until(lambda: settled(second, *app_ids), "one container of each app")

            plane.call("admin", "POST", f"/admin/drains/{number}/undo")
            real.wait_until(lambda: begun(plane, number, "RETURNING"), "the first return")
            plane.kill(signal.SIGKILL)
            plane.start()
            real.wait_until(lambda: over(plane, number), "the end of the undo", seconds)
            assert drain(plane, number)["summary"] == f"UNDONE {count} of {count} moved back", drain(plane, number)
            real.wait_until(lambda: second.containers() == [], "the end of every other copy")
        assert settled(first, *app_ids)
        assert set(seen) == {"served"}, seen
        nodes = {each["name"]: each["enabled"] for each in plane.call("admin", "GET", "/admin/runtime-nodes/list")}
        assert nodes == {first.name: True, second.name: True}
