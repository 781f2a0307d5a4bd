"""A node dies with all that ran on it: its apps come up elsewhere, and what is left of them goes when it is back."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support import real
from tests.support.runtime_node import RuntimeNode, Workshop, docker
from tests.system.test_drain import new_database, node, publish, runner, settled
from tests.system.test_operations import control_plane

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
_RUN = secrets.token_hex(3)
_APPS = tuple(f"{letter}{_RUN}" for letter in "ab")


@pytest.fixture
def database(mariadb_url: str) -> Iterator[str]:
    with new_database(mariadb_url, f"failover_{_RUN}") as url:
        yield url


def die(node: RuntimeNode) -> None:
    """As the machine does: agent, gateway and every container at once."""
    node.kill_agent()
    node.kill_gateway()
    docker(node.engine, "kill", *node.containers())


def served(node: RuntimeNode) -> list[str]:
    return [node.page(f"/runtime/{app_id}/").text.strip() for app_id in _APPS]


def test_the_apps_of_a_dead_node_come_up_elsewhere_and_the_old_copies_go(
    tmp_path: Path, database: str, docker_url: str
) -> None:
    shop = Workshop(docker_url, tmp_path / "images", f"failover-{_RUN}")
    pace = {"DEPLOY_RUNTIME_NODE_REGISTRY_HEARTBEAT_STALE_SECONDS": "4", "DEPLOY_FAILOVER_SECONDS": "6"}
    with ExitStack() as stack:
        stack.callback(shop.close)
        plane = stack.enter_context(control_plane(tmp_path, database, **pace))
        first = stack.enter_context(node(plane, tmp_path, docker_url, "dies", "32400-32499"))
        stack.enter_context(runner(plane, tmp_path, docker_url))
        for app_id in _APPS:
            publish(plane, app_id, shop.page(app_id, "0a1b2c3-1", app_id))
        # With one silent node of two, the other and the count of those that are heard decide.
        second = stack.enter_context(node(plane, tmp_path, docker_url, "lives", "32500-32599"))
        assert served(first) == list(_APPS)
        die(first)
        real.wait_until(lambda: settled(second, *_APPS), "the apps' start on the other node", 120)
        real.wait_until(lambda: served(second) == list(_APPS), "their first pages there")
        plan = plane.call("admin", "GET", "/admin/drains")["items"][0]
        assert (plan["kind"], plan["node"]) == ("FAILOVER", first.name)
        real.wait_until(
            lambda: all(plane.app(app_id)["nodeName"] == second.name for app_id in _APPS), "their places", 60
        )

        first.start_gateway()
        first.start_agent()
        real.wait_until(lambda: first.containers() == [], "the end of the old copies", 120)
        assert served(second) == list(_APPS)
