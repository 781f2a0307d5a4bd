"""Not a byte that was spooled is lost: the runner is killed, or the control plane is away, while a build prints.

FUNAI_TEST_OUTAGE_SECONDS is how long it is away; see CONTRIBUTING.md for the run with ten minutes.
"""

import os
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support import real
from tests.support.git_host import git_host
from tests.support.whole_path import LEASE_SECONDS, REPOSITORY, Runner, WholePath, page, whole_path

_OUTAGE_SECONDS = float(os.environ.get("FUNAI_TEST_OUTAGE_SECONDS", "0"))
pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240 + _OUTAGE_SECONDS)]
_RUN = secrets.token_hex(3)
_LINES = 300
#: A build of its own for each app: the engine keeps what it built.
_PRINTS = "RUN i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line-$i-of-{app}; usleep 10000; done"
_KILLED = b"\n[stopped] the runner was ended here, in the middle of its work\n"


@pytest.fixture(scope="module")
def path(real_parts: Path, docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePath]:
    with (
        git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as git,
        whole_path(real_parts / "jl", docker_url, git, f"e2e-jl-{_RUN}") as running,
    ):
        yield running


def spooled(runner: Runner) -> bytes:
    """What stands in the runner's one log."""
    (log,) = (runner.work / ".logs").glob("*.log")
    return log.read_bytes()


def control_plane() -> psutil.Process:
    """The process that `whole_path` started."""
    (found,) = [each for each in psutil.Process().children() if "daemons.deploy" in each.cmdline()]
    return found


@contextmanager
def standing_still(process: psutil.Process) -> Iterator[None]:
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def grow(runner: Runner) -> None:
    length = len(spooled(runner))
    real.wait_until(lambda: len(spooled(runner)) > length, "more of the log on the runner's disk")


def printing(path: WholePath, app_id: str, runner: Runner) -> str:
    """A job whose build prints, and has come to the control plane in part."""
    job_id = path.publish(app_id, page(f"app-{app_id}", _PRINTS.format(lines=_LINES, app=f"{app_id}-{_RUN}")))
    real.wait_until(lambda: f"line-40-of-{app_id}-{_RUN}\n" in path.log(job_id), "the beginning of the log")
    return job_id


def first_attempts_part(log: bytes) -> bytes:
    """What the log has of its first attempt: at its beginning, and where it was brought later."""
    before, gap, after = log.partition(b"\n[gap] runner ")
    if not gap:
        return log.partition(b"[clone] ")[0] + b"[clone] " + log.split(b"[clone] ")[1]
    _, _, later = after.partition(b"whose runner brought it later:\n")
    return before + later.partition(b"\n[late] the log of attempt 1 ends here; nothing of it is missing\n")[0]


def settled(path: WholePath, job_id: str) -> bool:
    job = path.job(job_id)
    return bool(job["status"] == "SUCCEEDED" and job["logComplete"])


def test_a_killed_runners_log_arrives_when_it_is_back(path: WholePath) -> None:
    runner = path.runner("runner-killed", RUNNER_BUILD_NETWORK="none")
    try:
        runner.start()
        job_id = printing(path, "71", runner)
        with standing_still(control_plane()):
            grow(runner)
            # What was on its way when the control plane stood still is on the disk by now; what follows was not sent.
            grow(runner)
            runner.kill()
        kept = spooled(runner)
        assert kept.decode() not in path.log(job_id), "some of it was not sent"
        runner.start()
        real.wait_until(lambda: settled(path, job_id), "the second attempt")
    finally:
        runner.close()
    log = path.log(job_id).encode()
    assert first_attempts_part(log) == kept + _KILLED
    assert log.count(f"line-{_LINES}-of-71-{_RUN}\n".encode()) == 1, "the second attempt's follows"
    job = path.job(job_id)
    assert (job["attempt"], job["logGaps"], job["logLength"]) == (2, 0, len(log))
    assert list((runner.work / ".logs").iterdir()) == []


def test_the_log_of_an_attempt_that_an_outage_ended_arrives_after_it(path: WholePath) -> None:
    runner = path.runner("runner-cut-off", RUNNER_BUILD_NETWORK="none")
    plane = control_plane()
    argv, environment = plane.cmdline(), plane.environ()
    began = time.monotonic()
    try:
        runner.start()
        job_id = printing(path, "72", runner)
        plane.send_signal(signal.SIGKILL)
        plane.wait()
        real.wait_until(lambda: not runner.folders(), "the end of the work, which frees its slot", 3 * LEASE_SECONDS)
        kept = spooled(runner)
        assert b"[stopped]" in kept
        while time.monotonic() - began < _OUTAGE_SECONDS:
            time.sleep(1)
        with real.process(argv, path.folder / "deploy-again.log", env=environment, cwd=Path(__file__).parents[2]):
            real.wait_until(lambda: real.listening(int(environment["DEPLOY_PORT"])), "the control plane's start")
            real.wait_until(lambda: settled(path, job_id), "the second attempt")
            log, job = path.log(job_id).encode(), path.job(job_id)
            runner.close()
    finally:
        runner.close()
    assert first_attempts_part(log) == kept and log.count(b"[stopped]") == 1
    assert (job["attempt"], job["logGaps"], job["logLength"]) == (2, 0, len(log))
    assert list((runner.work / ".logs").iterdir()) == []
