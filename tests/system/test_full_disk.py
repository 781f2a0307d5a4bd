"""A disk that really is full: the engine's data lies on a small file system of its own."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import real
from tests.support.git_host import git_host
from tests.support.runtime_node import docker
from tests.support.small_disk import small_disk
from tests.support.whole_path import REPOSITORY, WholePath, page, whole_path

pytestmark = [pytest.mark.real, pytest.mark.slow]
_RUN = secrets.token_hex(3)
_DISK_MB = 120
_MORE_MB = 150
_WORK_MB = 8


@pytest.fixture(scope="module")
def disk(real_parts: Path) -> Iterator[Path]:
    with small_disk(real_parts / "sd", _DISK_MB) as point:
        yield point


@pytest.fixture(scope="module")
def work(real_parts: Path) -> Iterator[Path]:
    """Where the runner works."""
    with small_disk(real_parts / "sw", _WORK_MB) as point:
        yield point


@pytest.fixture(scope="module")
def path(real_parts: Path, disk: Path, work: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePath]:
    with real.private_engine(real_parts / "se", 2, data=disk / "data") as engine:
        real.busybox_image(engine)
        with (
            git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as git,
            whole_path(real_parts / "fd", engine, git, f"e2e-d-{_RUN}") as running,
            running.running("runner-d", JOB_LEASE_SECONDS="30", RUNNER_WORKDIR=str(work)),
        ):
            yield running


@pytest.fixture(scope="module")
def served(path: WholePath) -> str:
    """An app that is live on the small disk."""
    path.succeeded(path.publish("21", page("v1")))
    assert path.node.page("/runtime/21/").text == "v1\n"
    return "21"


@pytest.fixture(scope="module")
def too_large(docker_url: str, registry_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image in the registry that the small disk cannot hold."""
    folder, image = tmp_path_factory.mktemp("large"), f"{registry_host}/e2e-d-{_RUN}/large:1"
    (folder / "Dockerfile").write_text(f"FROM busybox:1.36\nRUN truncate -s {_MORE_MB}M /large\n")
    subprocess.run(
        ["docker", "-H", docker_url, "build", "-q", "-t", image, str(folder)],
        check=True,
        capture_output=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DOCKER_BUILDKIT": "0", "HOME": str(folder)},
    )
    try:
        docker(docker_url, "push", "-q", image)
        yield image
    finally:
        docker(docker_url, "rmi", "-f", image)


@pytest.mark.parametrize("kind", ["command", "copy"])
def test_a_build_that_fills_the_disk_fails_with_that_reason(path: WholePath, served: str, kind: str) -> None:
    files = {
        "command": page("v2", f"RUN dd if=/dev/zero of=/large bs=1M count={_MORE_MB}"),
        "copy": page("v2", f"RUN truncate -s {_MORE_MB}M /large"),
    }[kind]
    with path.visited(f"/runtime/{served}/") as seen:
        job = path.ended(path.publish(served, files))
    assert (job["status"], job["reason"]) == ("FAILED", "disk_full"), job["errorMessage"]
    assert "no space left on device" in job["errorMessage"].lower().partition("last ")[0]
    assert set(seen) == {"v1"}, seen


@pytest.mark.parametrize("megabytes", [2 * _WORK_MB, _WORK_MB, _WORK_MB // 2 - 1], ids=["fetch", "checkout", "context"])
def test_sources_that_fill_the_runners_disk_fail_with_that_reason(
    path: WholePath, served: str, work: Path, megabytes: int
) -> None:
    """As they are fetched, as they are checked out, as they are packed for the engine."""
    large = secrets.token_hex(megabytes * 1024**2 // 2)
    job = path.ended(path.publish("23", {**page("v1"), "large.txt": large}))
    assert (job["status"], job["reason"]) == ("FAILED", "disk_full"), job["errorMessage"]
    real.wait_until(lambda: not [one for one in work.iterdir() if (one / ".attempt").exists()], "the work folder's end")
    path.push("app-23", {"large.txt": "small again"})
    path.succeeded(path.create("23"))


def test_an_image_that_does_not_fit_fails_with_that_reason(path: WholePath, served: str, too_large: str) -> None:
    with path.visited(f"/runtime/{served}/") as seen:
        job = path.ended(path.create(served, image=too_large))
    assert (job["status"], job["reason"]) == ("FAILED", "disk_full"), job["errorMessage"]
    assert "no space left on device" in job["errorMessage"].lower()
    assert set(seen) == {"v1"}, seen


def test_a_full_node_takes_no_new_app_until_it_has_room_again(path: WholePath, served: str, disk: Path) -> None:
    filler = disk / "filler"

    def free_pct() -> float:
        (node,) = path.call("GET", "/admin/runtime-nodes/list", secret="Admin-Token")
        return float(node["diskFreePct"])

    real.wait_until(lambda: free_pct() > 50, "room, after what failed was removed")
    room = shutil.disk_usage(disk).free
    subprocess.run(["fallocate", "-l", str(room * 9 // 10), str(filler)], check=True)
    try:
        real.wait_until(lambda: free_pct() < 15, "a heartbeat with the full disk")
        job_id = path.publish("22", page("new"))
        real.wait_until(lambda: path.job(job_id)["waitingFor"] is not None, "the reason for waiting")
        waiting = path.job(job_id)["waitingFor"]
        assert (path.job(job_id)["status"], waiting["reason"]) == ("PENDING", "no_node")
        assert path.node.name in waiting["message"]
        assert "% " in waiting["message"]
        assert path.node.page(f"/runtime/{served}/").text == "v1\n"
    finally:
        filler.unlink()
    path.succeeded(job_id)
    assert path.node.page("/runtime/22/").text == "new\n"
