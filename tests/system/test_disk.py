"""A node on a small disk: many deployments of images of which no two are alike, beside what belongs to others.

`bin/test tests/system/test_disk.py --deploys 1000` goes on until the disk was filled many times over.
"""

import os
import secrets
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import real, runtime_node
from tests.support.pushed import Press
from tests.support.runtime_node import RuntimeNode, StandInDeploy, docker
from tests.support.small_disk import small_disk

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
_RUN = secrets.token_hex(3)
_DISK_MB = 200
_IMAGE_MB = 4
_APPS = 5
_FLOOD_PCT = 7


@dataclass
class Releases:
    """What deploy knows of the apps: the newest ten of each stay while there is room, and one of each is pinned."""

    pushed: dict[str, list[str]] = field(default_factory=dict)
    pinned: dict[str, str] = field(default_factory=dict)

    def kept(self, app_id: str) -> dict[str, Any]:
        known = self.pushed.get(app_id, [])
        pinned = [self.pinned[app_id]] if app_id in self.pinned else []
        return {"known": app_id in self.pushed, "kept": known[-2:] + pinned, "recent": known[-10:]}


@pytest.fixture(scope="module")
def releases() -> Releases:
    return Releases()


@pytest.fixture(scope="module")
def deploy(releases: Releases) -> Iterator[StandInDeploy]:
    with runtime_node.deploy() as stand_in:
        stand_in.kept = releases.kept
        yield stand_in


@pytest.fixture(scope="module")
def disk(real_parts: Path) -> Iterator[Path]:
    with small_disk(real_parts / "cd", _DISK_MB) as point:
        yield point


@pytest.fixture(scope="module")
def engine(real_parts: Path, disk: Path) -> Iterator[str]:
    with real.private_engine(real_parts / "ce", 3, data=disk / "data") as url:
        real.busybox_image(url)
        yield url


@pytest.fixture(scope="module")
def node(real_parts: Path, engine: str, deploy: StandInDeploy) -> Iterator[RuntimeNode]:
    environment = {
        "DEPLOY_BASE_URL": deploy.url,
        "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN,
        "RUNTIME_DRAIN_SECONDS": "1",
        "RUNTIME_DISK_STOPS_ONLY": f"{_FLOOD_PCT}%/5g",
    }
    with runtime_node.node(real_parts / "cn", engine, f"disk-test-{_RUN}", **environment) as running:
        yield running


@pytest.fixture(scope="module")
def press(engine: str, registry_host: str) -> Iterator[Press]:
    found = Press(engine, registry_host)
    yield found
    found.close()


@contextmanager
def least_free(disk: Path) -> Iterator[list[float]]:
    """The smallest free share of the disk that was ever seen during the block, in percent."""
    seen, over = [100.0], threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            found = os.statvfs(disk)
            usable = found.f_blocks - found.f_bfree + found.f_bavail
            seen[0] = min(seen[0], 100 * found.f_bavail / usable)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def foreign(engine: str, press: Press) -> set[str]:
    """Things of others on the same engine: a tagged image, an untagged one, a stopped container and its image."""
    tool = press.image(f"others-{_RUN}/tool", "1", "tool", megabytes=1)
    used = press.image(f"others-{_RUN}/used", "1", "used", megabytes=1)
    for image in (tool, used):
        docker(engine, "pull", "-q", image)
    docker(engine, "create", "--name", f"others-{_RUN}", used)
    tar = subprocess.run(["tar", "-c", "-T", "/dev/null"], check=True, capture_output=True).stdout
    argv = ["docker", "-H", engine, "import", "-"]
    untagged = subprocess.run(argv, input=tar, check=True, capture_output=True, text=False).stdout.decode().strip()
    return {untagged, *(docker(engine, "inspect", "--format={{.Id}}", image).strip() for image in (tool, used))}


def images(engine: str) -> set[str]:
    """Ids of all images."""
    return set(docker(engine, "images", "--no-trunc", "-q").split())


@pytest.mark.timeout(7200)
def test_many_deployments_never_fill_the_disk_and_remove_nothing_of_others(
    request: pytest.FixtureRequest,
    node: RuntimeNode,
    engine: str,
    disk: Path,
    press: Press,
    deploy: StandInDeploy,
    releases: Releases,
) -> None:
    count = request.config.getoption("--deploys")
    others = foreign(engine, press)

    def publish(app_number: int) -> list[str]:
        app_id, problems = f"d{app_number}", []
        for fence in range(1, count // _APPS + 1):
            tag = f"{secrets.token_hex(6)}-{fence}"
            image = press.image(f"funai/u7-app{app_id}", tag, f"v{fence}", megabytes=_IMAGE_MB)
            answer = node.deploy(app_id, image, fence)
            if answer.status_code != 200:
                problems.append(answer.text)
                continue
            releases.pushed.setdefault(app_id, []).append(image)
            releases.pinned.setdefault(app_id, image)
            if node.page(f"/runtime/{app_id}/").text != f"v{fence}\n":
                problems.append(f"{app_id} does not serve v{fence}")
            if len(releases.pushed[app_id]) > 12:
                press.forget(releases.pushed[app_id].pop(1))
        return problems

    with least_free(disk) as least, ThreadPoolExecutor(_APPS) as pool:
        failed = [problem for problems in pool.map(publish, range(_APPS)) for problem in problems]
    assert failed == []
    assert least[0] > _FLOOD_PCT, f"{least[0]:.1f} % were free at worst"
    assert others <= images(engine)
    assert f"others-{_RUN}" in docker(engine, "ps", "-a", "--format={{.Names}}").split()
    for app_id, pushed in releases.pushed.items():
        for image in (releases.pinned[app_id], *pushed[-2:]):
            assert docker(engine, "inspect", "--format={{.Id}}", image).strip() in images(engine)
    collected = [beat["vitals"]["collection"] for beat in deploy.heartbeats if beat["vitals"].get("collection")]
    assert collected, "nothing had to be collected: the disk is too large for this test"
    assert max(each["freedBytes"] for each in collected) > 0


def test_a_crossed_line_is_told_at_once_and_so_is_the_way_back(
    node: RuntimeNode, disk: Path, deploy: StandInDeploy
) -> None:
    def level() -> str:
        return str(deploy.heartbeats[-1]["diskLevel"])

    filler = disk / "filler"
    found = os.statvfs(disk)
    subprocess.run(["fallocate", "-l", str(int(found.f_bavail * found.f_frsize * 0.97)), str(filler)], check=True)
    try:
        real.wait_until(lambda: level() == "stops_only", "the heartbeat of a full disk")
        assert "only stops" in deploy.heartbeats[-1]["diskWords"]
        serving = node.page("/runtime/d0/").text
        assert node.status("d0")["running"] is True
        assert serving.startswith("v")
    finally:
        filler.unlink()
    real.wait_until(lambda: level() not in ("stops_only", "no_pulls"), "the heartbeat of a disk with room")


def test_on_a_full_disk_an_app_can_go_back_and_stop_but_nothing_new_comes(
    node: RuntimeNode, engine: str, disk: Path, press: Press, deploy: StandInDeploy, releases: Releases
) -> None:
    # However much is collected: four times this is more than the disk.
    new = press.image("funai/u7-appnew", f"{'a' * 12}-1", "new", megabytes=_DISK_MB // 4)
    filler, found = disk / "filler", os.statvfs(disk)
    subprocess.run(["fallocate", "-l", str(int(found.f_bavail * found.f_frsize * 0.97)), str(filler)], check=True)
    try:
        real.wait_until(lambda: deploy.heartbeats[-1]["diskLevel"] == "stops_only", "the heartbeat of a full disk")
        refused = node.deploy("new", new, 1)
        assert refused.status_code == 409, refused.text
        assert refused.json()["reason"] == "node_full"
        assert "no space left on device" in refused.json()["detail"]
        before = releases.pushed["d1"][-2]
        page = docker(engine, "inspect", "--format={{index .RepoDigests 0}}", before).strip()
        back = node.deploy("d1", page, 10_000)
        assert back.status_code == 200, back.text
        stopped = node.post("/agent/apps/stop", {"userId": "7", "appId": "d2", "fence": 10_000})
        assert stopped.status_code == 200, stopped.text
    finally:
        filler.unlink()
