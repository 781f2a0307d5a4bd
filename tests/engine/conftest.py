"""Every case of this folder runs on every engine that the agent knows.

A case that an engine cannot pass is named here with the reason. It runs all the same, and passing fails it: the list
stays as short as the truth allows.
"""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support import engines, real
from tests.support.engines import Bench

#: engine -> case -> why it cannot.
CANNOT: Final[Mapping[str, Mapping[str, str]]] = {
    "docker": {},
    "podman": {
        "test_too_much_memory_is_told_as_such": "4.3 tells of a kill for memory only that the exit code is 137",
    },
    "swarm": {
        "test_an_image_in_use_stays": "a service that was not started has no container that would hold the image",
        "test_a_port_is_open_on_this_machine_alone": "a task's port is published on every address of its machine",
        "test_swap_adds_nothing_to_memory": "API 1.41 has no bound on the swap of services",
        "test_apps_die_before_the_daemons_of_the_node": "API 1.41 has no such score for services",
    },
}

_HARDENING: Final = frozenset(
    f"test_{case}"
    for case in (
        "capabilities_are_the_short_list",
        "privileges_cannot_be_gained",
        "system_calls_are_filtered",
        "processes_are_bounded",
        "memory_is_bounded",
    )
)
#: What every engine passes in every run, because it differs there; Docker and the twin pass every case in every run,
#: and with --all-engines the others do, too. A whole node's test has deployments, crashes and restarts in it.
_CORE: Final = _HARDENING | {
    "test_a_container_lives_and_goes",
    "test_a_port_in_use_is_told_apart",
    "test_every_attempt_fails",
    "test_an_app_lives_on_every_engine",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        real_only = "real" in {mark.name for mark in metafunc.definition.iter_markers()}
        everything = metafunc.config.getoption("--all-engines") or metafunc.function.__name__ in _CORE
        first, *others = getattr(metafunc.module, "ENGINES", CANNOT)
        kinds = [*(() if real_only else ("twin",)), first, *(others if everything else ())]
        marks = {"twin": ()}
        metafunc.parametrize("kind", [pytest.param(kind, marks=marks.get(kind, pytest.mark.real)) for kind in kinds])


@pytest.fixture(scope="session")
def podman_url(real_parts: Path, registry_host: str) -> Iterator[str]:
    """Podman's compatible socket."""
    if url := os.environ.get("FUNAI_TEST_PODMAN_HOST"):
        yield url
        return
    with real.podman(real_parts / "podman", registry_host) as url:
        yield url


@pytest.fixture(scope="session")
def swarm_url(real_parts: Path) -> Iterator[str]:
    """A swarm of one machine."""
    if url := os.environ.get("FUNAI_TEST_SWARM_HOST"):
        yield url
        return
    with real.swarm(real_parts / "swarm") as url:
        yield url


@pytest.fixture(scope="session")
def docker_loaded(docker_url: str) -> Iterator[str]:
    """Docker with the suite's images in it."""
    with _loaded(docker_url, "docker"):
        yield docker_url


@pytest.fixture(scope="session")
def podman_loaded(podman_url: str) -> Iterator[str]:
    """Podman with the suite's images in it."""
    with _loaded(podman_url, "podman"):
        yield podman_url


@pytest.fixture(scope="session")
def swarm_loaded(swarm_url: str) -> Iterator[str]:
    """A swarm with the suite's images in it."""
    with _loaded(swarm_url, "swarm"):
        yield swarm_url


@contextmanager
def _loaded(url: str, kind: str) -> Iterator[None]:
    # Podman imports no health checks.
    checks = () if kind == "podman" else ("HEALTHCHECK --interval=1s CMD touch /checked",)
    try:
        engines.load(url, {"traefik.http.routers.x.rule": "PathPrefix(`/`)", "funai.app-id": "stolen"}, checks)
        yield
    finally:
        engines.unload(url)
        engines.clear(url, f"n-{engines.RUN}-{kind}")


@pytest.fixture
def loaded(kind: str, request: pytest.FixtureRequest) -> str:
    """The URL of the engine, with the images in it. Made once a session: a parameter of the session would not be."""
    return str(request.getfixturevalue(f"{kind}_loaded")) if kind != "twin" else ""


@pytest.fixture
async def bench(kind: str, loaded: str, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The engine, emptied after the test of what the test made."""
    case = request.node.originalname
    if reason := CANNOT.get(kind, {}).get(case):
        request.applymarker(pytest.mark.xfail(strict=True, reason=f"{kind}: {reason}"))
    if kind == "twin":
        yield engines.twin()
        return
    async with engines.docker(loaded, kind) as found:
        yield found


@pytest.fixture
async def again(kind: str, loaded: str, bench: Bench) -> AsyncIterator[Bench]:
    """The same engine as another process sees it."""
    async with engines.docker(loaded, kind) as found:
        yield found
