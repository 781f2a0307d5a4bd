"""What every test may use: the real parts, one of each per run, and a guard against blocking calls in the loop."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

from tests.support import own_network, real

_number = itertools.count(1)
TESTS = Path(__file__).parent
#: Whether each worker of this run has a network and an engine of its own.
APART = os.environ.get("FUNAI_TEST_APART") == "1"

# Both compare with a clock, and what else the machine does is no defect of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`bin/test tests/model --schedules 10000`: as many schedules as continuous integration plays. `bin/test
    tests/system/test_disk.py --deploys 1000`: until a small disk was filled many times over. `bin/test
    tests/system/test_drain.py --drained 20`: a node with so many apps. `bin/test tests/engine --all-engines`: Podman
    and the swarm pass every case, as Docker does in every run. `bin/test tests/http -k openapi --fuzzed 500`: hundreds
    of made up requests for each operation of the four daemons that serve a contract. `bin/test
    tests/system/test_preview_frameworks.py --frameworks`: projects as the generators of Vite and Next make them today,
    with packages from their registries."""
    parser.addoption("--schedules", type=int, default=1000, help="how many schedules tests/model plays")
    parser.addoption("--deploys", type=int, default=30, help="how many images tests/system/test_disk.py deploys")
    parser.addoption("--drained", type=int, default=4, help="how many apps tests/system/test_drain.py moves")
    parser.addoption(
        "--frameworks", action="store_true", help="test_preview_frameworks.py makes projects and runs them"
    )
    parser.addoption("--fuzzed", type=int, default=5, help="how many requests test_openapi.py makes up per operation")
    parser.addoption("--all-trees", action="store_true", help="test_hostile_trees.py takes every tree it knows")
    parser.addoption("--all-engines", action="store_true", help="tests/engine passes every case on every engine")


def pytest_configure(config: pytest.Config) -> None:
    """Before a worker starts anything."""
    if APART and hasattr(config, "workerinput"):
        own_network.enter()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """When several workers share the run, a file stays with one of them, so that it makes its fixtures once. Whole
    platforms and whatever else lives in the one engine stay together, unless each worker has an engine of its own:
    platforms that see each other's containers take them away. What takes longest begins first, so that nobody waits
    for it at the end."""
    for item in items:
        together = not APART and _lives_in_the_engine(item)
        place = item.path.relative_to(TESTS)
        # The conformance suite starts engines of its own, each once.
        alone = "engines" if place.parts[0] == "engine" else str(place)
        item.add_marker(pytest.mark.xdist_group("engine" if together else alone))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    if item.path == TESTS / "model" / "test_schedules.py":
        return 0
    if _lives_in_the_engine(item) or _part(item) == "engine":
        return 1
    # A file with one slow test begins as early as with many.
    return 2 if item.get_closest_marker("slow") else 3


def _lives_in_the_engine(item: pytest.Item) -> bool:
    return "docker_url" in getattr(item, "fixturenames", ()) or _part(item) == "system"


def _part(item: pytest.Item) -> str:
    return item.path.relative_to(TESTS).parts[0]


@pytest.fixture(autouse=True)
def loop_guard(request: pytest.FixtureRequest) -> Iterator[BlockBuster | None]:
    """A blocking call of our code inside the event loop fails the test."""
    with blockbuster_ctx(scanned_modules=["console", "daemons", "protocol"]) as guard:
        # PyMongo looks once per server whether a file on the root file system is there.
        guard.functions["os.stat"].can_block_in("pymongo/pool_options.py", "get_container_env_info")
        # httpcore looks for sniffio with every lock it makes; another thread that looks holds the lock of imports.
        guard.functions["threading.Lock.acquire"].can_block_in("httpcore/_synchronization.py", "current_async_library")
        yield guard


@pytest.fixture(scope="session")
def real_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the real parts of this run; short, because socket paths have a limit."""
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="session")
def docker_url(real_parts: Path) -> Iterator[str]:
    """A real Docker engine, with busybox:1.36 in it; this worker's own, or the one that was named."""
    with real.docker_engine(real_parts / "engine") as url:
        real.busybox_image(url)
        yield url


@pytest.fixture(scope="session")
def registry_host(real_parts: Path) -> Iterator[str]:
    """A real Docker registry."""
    with real.registry(real_parts / "registry") as host:
        yield host


@pytest.fixture(scope="session")
def mariadb_url(real_parts: Path) -> Iterator[str]:
    """A real MariaDB; append a database name of your own."""
    with real.mariadb(real_parts / "mariadb") as url:
        yield url


@pytest.fixture
def mysql_url(mariadb_url: str) -> Iterator[str]:
    """An empty database on the real MariaDB."""
    parts = urlsplit(mariadb_url)
    name = f"empty_{next(_number)}"
    server = pymysql.connect(
        host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or "", autocommit=True
    )
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")
