"""What a Traefik reads, against the documented labels and the documented format of the file provider."""

import json
import re
from pathlib import Path

import pytest

from daemons.agent.adapters.traefik import TraefikGateway
from daemons.agent.domain.containers import ContainerSpec, engine_config
from daemons.agent.domain.traefik import document, labels
from daemons.agent.ports import GatewayError


def test_labels_are_the_documented_ones_with_a_rule_of_whole_segments() -> None:
    assert labels("12", 3000) == {
        "traefik.enable": "true",
        "traefik.http.routers.rt-app-12.rule": "PathPrefix(`/runtime/12/`) || Path(`/runtime/12`)",
        "traefik.http.routers.rt-app-12.middlewares": "rt-mw-12",
        "traefik.http.routers.rt-app-12.service": "rt-svc-12",
        "traefik.http.middlewares.rt-mw-12.stripprefix.prefixes": "/runtime/12",
        "traefik.http.services.rt-svc-12.loadbalancer.server.port": "3000",
    }


def test_containers_carry_them_only_where_a_traefik_routes() -> None:
    spec = ContainerSpec("rt-u-7-5-r1", "n1", "7", "5", 1, "i", "sha256:1", 3000, 20001)
    plain = engine_config(spec, "bridge")["Labels"]
    assert isinstance(plain, dict)
    assert {name: plain[name] for name in plain if name.startswith("traefik")} == {"traefik.enable": "false"}


@pytest.mark.parametrize(
    ("path", "app"),
    [("/runtime/1", "1"), ("/runtime/1/x", "1"), ("/apps/1/", "1"), ("/runtime/12/", "12"), ("/runtime/123/", None)],
)
def test_no_rule_takes_a_path_of_another_app(path: str, app: str | None) -> None:
    found = document({"1": "127.0.0.1:20001", "12": "127.0.0.1:20012"})["http"]
    assert isinstance(found, dict)
    taken = [name for name, router in found["routers"].items() if _matches(router["rule"], path)]
    assert taken == ([f"rt-app-{app}"] if app else [])


def _matches(rule: str, path: str) -> bool:
    """As Traefik reads a rule of these two matchers."""
    prefixes = re.findall(r"PathPrefix\(`([^`]+)`\)", rule)
    return path.startswith(tuple(prefixes)) or path in re.findall(r"\bPath\(`([^`]+)`\)", rule)


async def test_the_document_is_whole_and_empty_without_routes(tmp_path: Path) -> None:
    path = tmp_path / "funai.yml"
    gateway = TraefikGateway(path, 0)
    await gateway.route("1", 20001)
    found = json.loads(path.read_text())["http"]
    assert found["routers"]["rt-app-1"]["service"] == "rt-svc-1"
    assert found["services"]["rt-svc-1"] == {"loadBalancer": {"servers": [{"url": "http://127.0.0.1:20001"}]}}
    assert found["middlewares"]["rt-mw-1"] == {"stripPrefix": {"prefixes": ["/runtime/1", "/apps/1"]}}
    # Every name that a router uses is there, or Traefik would drop the router.
    for router in found["routers"].values():
        assert set(router["middlewares"]) <= found["middlewares"].keys()
    await gateway.remove("1")
    # Traefik refuses an `http` without content.
    assert json.loads(path.read_text()) == {}
    path.write_text("not: [ours")
    assert await gateway.reconcile(lambda: {"2": 20002}) > 0
    assert json.loads(path.read_text())["http"]["routers"].keys() == {"rt-app-2"}


async def test_what_it_cannot_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="RUNTIME_GATEWAY_DRIVER=haproxy"):
        await TraefikGateway(tmp_path / "funai.yml", 0).hold("1")
