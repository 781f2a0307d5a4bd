"""Every case of this folder runs on every engine that the agent knows.

A case that an engine cannot pass is named here with the reason. It runs all the same, and passing fails it: the list
stays as short as the truth allows.
"""

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.support import engines, real
from tests.support.engines import Bench

#: engine -> case -> why it cannot.
CANNOT: Final[Mapping[str, Mapping[str, str]]] = {
    "docker": {},
    "podman": {
        "test_an_image_in_use_stays": "it takes the name away from an image in use (the image itself stays)",
        "test_too_much_memory_is_told_as_such": "4.3 tells of a kill for memory only that the exit code is 137",
    },
    "swarm": {
        "test_an_image_in_use_stays": "a service that was not started has no container that would hold the image",
        "test_a_port_is_open_on_this_machine_alone": "a task's port is published on every address of its machine",
        "test_swap_adds_nothing_to_memory": "API 1.41 has no bound on the swap of services",
        "test_apps_die_before_the_daemons_of_the_node": "API 1.41 has no such score for services",
    },
}

#: Cases that every engine runs in every run; docker and the twin run all of them, and with FUNAI_TEST_ENGINES=all
#: the others, too, which takes minutes.
_CORE: Final = frozenset(
    {
        "test_a_container_lives_and_goes",
        "test_what_is_absent_is_stopped_and_removed",
        "test_a_port_in_use_is_told_apart",
        "test_a_crash_is_told_with_its_code_and_last_words",
        "test_a_stop_reaches_an_app_that_gave_up_root",
        "test_capabilities_are_the_short_list",
        "test_privileges_cannot_be_gained",
        "test_system_calls_are_filtered",
        "test_processes_are_bounded",
        "test_memory_is_bounded",
        "test_every_attempt_fails",
    }
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "loaded" in metafunc.fixturenames:
        real_only = "real" in {mark.name for mark in metafunc.definition.iter_markers()}
        everything = os.environ.get("FUNAI_TEST_ENGINES") == "all" or metafunc.function.__name__ in _CORE
        first, *others = getattr(metafunc.module, "ENGINES", CANNOT)
        kinds = [*(() if real_only else ("twin",)), first, *(others if everything else ())]
        marks = {"twin": ()}
        metafunc.parametrize(
            "kind", [pytest.param(kind, marks=marks.get(kind, pytest.mark.real)) for kind in kinds], scope="session"
        )


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
def loaded(kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of the engine, with the images in it."""
    if kind == "twin":
        yield ""
        return
    url: str = request.getfixturevalue(f"{kind}_url")
    # Podman imports no health checks.
    checks = () if kind == "podman" else ("HEALTHCHECK --interval=1s CMD touch /checked",)
    engines.load(url, {"traefik.http.routers.x.rule": "PathPrefix(`/`)", "funai.app-id": "stolen"}, checks)
    yield url
    engines.unload(url)
    engines.forget_rules(f"n-{engines.RUN}-{kind}")


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
