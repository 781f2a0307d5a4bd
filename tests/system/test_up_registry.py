"""With a registry in its environment, the platform that one command starts pushes to it and pulls from it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import real
from tests.support.platform import Up, free_base
from tests.support.runtime_node import docker

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
_NAMESPACE = "e2e-up"


@pytest.fixture
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One of its own: platforms that share an engine would take each other's demo for their own. In a folder with a
    short name, because the paths of sockets have a limit."""
    with real.private_engine(tmp_path_factory.mktemp("e"), 1) as url:
        real.busybox_image(url)
        yield url


def test_the_demo_comes_from_the_registry(engine: str, registry_host: str, tmp_path: Path) -> None:
    real.program("haproxy", "haproxy")
    settings = {"ACR_REGISTRY": registry_host, "ACR_NAMESPACE": _NAMESPACE, "RUNNER_DOCKER_BUILD_PULL": "false"}
    up = Up(tmp_path / "data", free_base(), engine, settings=settings)
    up.start()
    repository = f"{registry_host}/{_NAMESPACE}/u1-app20001"
    try:
        assert up.ready["demoApp"] == "20001", up.said[-4000:]
        assert up.answers()
        listed = httpx.get(
            f"http://{registry_host}/v2/{_NAMESPACE}/u1-app20001/tags/list", trust_env=False, verify=False
        )
        assert "latest" in listed.json()["tags"]
        (container,) = up.containers()
        image = docker(engine, "inspect", "--format={{.Image}}", container).strip()
        assert f"{repository}@sha256:" in docker(engine, "inspect", "--format={{json .RepoDigests}}", image)
    finally:
        up.stop()
        up.remove_containers()
