"""From a commit to a page, over real processes, and what is left when something goes wrong on the way."""

import json
import random
import secrets
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support import real
from tests.support.git_host import GitHost, git_host
from tests.support.runtime_node import docker
from tests.support.whole_path import LEASE_SECONDS, REPOSITORY, Runner, WholePath, page, whole_path

pytestmark = [pytest.mark.real, pytest.mark.slow]
_RUN = secrets.token_hex(3)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    with git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as host:
        yield host


@pytest.fixture(scope="module")
def path(real_parts: Path, docker_url: str, git: GitHost) -> Iterator[WholePath]:
    with whole_path(real_parts / "wp", docker_url, git, f"e2e-{_RUN}") as running:
        yield running


@pytest.fixture(scope="module")
def runner(path: WholePath) -> Iterator[Runner]:
    with path.running("runner-a") as running:
        yield running


@pytest.fixture(scope="module")
def served(path: WholePath, runner: Runner) -> str:
    """An app that is live."""
    path.succeeded(path.publish("1", page("v1")))
    assert path.node.page("/runtime/1/").text == "v1\n"
    return "1"


def a_mark() -> str:
    """A word that no other build has."""
    return f"mark-{uuid.uuid4().hex[:12]}"


def container_of(path: WholePath, app_id: str) -> str:
    (container,) = path.node.containers(app_id)
    return container


_CRASH = 'FROM busybox:1.36\nCMD ["sh","-c","echo starting up; sleep 0.2; echo it breaks here >&2; exit 7"]\n'
_SERVE = "exec httpd -f -p 3000 -h /www"
_PORT = 'FROM busybox:1.36\nCMD ["sh","-c","echo serving on 8080; exec httpd -f -p 8080 -h /"]\n'


@pytest.mark.parametrize(
    ("dockerfile", "reason", "says"),
    [
        ("FROM busybox:1.36\nRUN echo almost-there && exit 7\n", "build_failed", ("exit code 7", "\nalmost-there")),
        (_CRASH, "deploy_failed", ("exited with code 7", "it breaks here")),
        (_PORT, "deploy_failed", ("listens on 8080: set containerPort", "serving on 8080")),
    ],
    ids=["build", "crash", "wrong-port"],
)
def test_what_cannot_go_live_fails_its_job_and_the_app_serves_on(
    path: WholePath, served: str, dockerfile: str, reason: str, says: tuple[str, ...]
) -> None:
    before = container_of(path, served)
    with path.visited(f"/runtime/{served}/") as seen:
        job = path.ended(path.publish(served, {"Dockerfile": dockerfile}))
    assert (job["status"], job["reason"], job["attempt"]) == ("FAILED", reason, 1)
    for words in says:
        assert words in job["errorMessage"]
    assert "[failed]" in path.log(job["id"])
    assert set(seen) == {"v1"}, seen
    real.wait_until(lambda: path.node.containers(served) == [before], "the removal of what failed")


def test_a_build_longer_than_its_lease_succeeds_at_once(path: WholePath, runner: Runner) -> None:
    slow = f"RUN sleep {LEASE_SECONDS + 1} && echo {a_mark()}"
    job = path.succeeded(path.publish("2", page("slow", slow)))
    assert job["attempt"] == 1
    made = ["created", "claimed", "confirmed", "succeeded"]
    # An event is told when none that began before it can come late: a moment after the job has ended.
    real.wait_until(lambda: [change for change, _ in path.history(job["id"])] == made, "the last event")
    assert path.node.page("/runtime/2/").text == "slow\n"


def test_a_killed_runners_job_runs_again_and_nothing_of_the_first_stays(path: WholePath, runner: Runner) -> None:
    mark = a_mark()
    job_id = path.publish("3", page("after", f"RUN sleep 2 && echo {mark}"))
    real.wait_until(lambda: path.builds(mark), "the build's start")
    runner.kill()
    real.wait_until(lambda: not path.builds(mark), "the end of the build whose runner died")
    runner.start()
    job = path.succeeded(job_id)
    assert (job["attempt"], path.node.page("/runtime/3/").text) == (2, "after\n")
    made = [("created", "api"), ("claimed", "runner:runner-a"), ("requeued", "reaper")]
    made += [("claimed", "runner:runner-a"), ("confirmed", f"node:{path.namespace}")]
    real.wait_until(lambda: path.history(job_id) == [*made, ("succeeded", "runner:runner-a")], "the last event")
    real.wait_until(lambda: (runner.folders(), runner.tools()) == ([], []), "the end of every trace")
    assert not path.builds(mark)


def test_a_runner_killed_while_it_clones_leaves_no_git(path: WholePath, runner: Runner, git: GitHost) -> None:
    commit = path.push("app-4", page("cloned"))
    with git.frozen():
        job_id = path.create("4")
        real.wait_until(lambda: any("fetch" in line for line in runner.tools()), "the clone's start")
        runner.kill()
        real.wait_until(lambda: runner.tools() == [], "the end of git")
    runner.start()
    job = path.succeeded(job_id)
    assert (job["attempt"], job["commit"]) == (2, commit)


def test_a_runner_that_wakes_after_its_lease_neither_reports_nor_deploys(path: WholePath, runner: Runner) -> None:
    """Its build goes on in the engine while it stands still: when it wakes, the next step would be to deploy."""
    mark = a_mark()
    job_id = path.publish("5", page("once", f"RUN sleep 2 && echo {mark}"))
    real.wait_until(lambda: path.builds(mark), "the build's start")
    runner.signal(signal.SIGSTOP)
    try:
        with path.running("runner-b") as second:
            job = path.succeeded(job_id)
            container = container_of(path, "5")
            runner.signal(signal.SIGCONT)
            real.wait_until(lambda: runner.folders() == [], "the end of the first attempt")
            assert second.folders() == []
    finally:
        runner.signal(signal.SIGCONT)
    # A heartbeat of the node between the two looks is no change of the job, and the first attempt's log comes late.
    besides = dict.fromkeys(("runtimeNode", "logLength", "logGaps", "logComplete"))
    after, job = path.job(job_id) | besides, job | besides
    assert (after, after["attempt"], after["runnerId"]) == (job, 2, "runner-b")
    made = [("created", "api"), ("claimed", "runner:runner-a"), ("requeued", "reaper")]
    made += [("claimed", "runner:runner-b"), ("confirmed", f"node:{path.namespace}")]
    real.wait_until(lambda: path.history(job_id) == [*made, ("succeeded", "runner:runner-b")], "the last event")
    assert (container_of(path, "5"), container.rpartition("-r")[2]) == (container, str(job["fence"]))
    assert "a job's work was stopped" in runner.said
    assert path.node.page("/runtime/5/").text == "once\n"


def test_with_a_registry_the_agent_pulls_by_digest_what_the_runner_pushed(
    path: WholePath, runner: Runner, registry_host: str
) -> None:
    app_id, repository = "6", f"{registry_host}/{path.namespace}/u7-app6"
    path.succeeded(path.publish(app_id, page("r1"), acrRegistry=registry_host))
    job = path.succeeded(path.publish(app_id, page("r2"), acrRegistry=registry_host))
    assert job["image"] == f"{repository}@{job['imageDigest']}"
    assert path.node.page(f"/runtime/{app_id}/").text == "r2\n"
    container = f"rt-u-7-{app_id}-r{job['fence']}"
    real.wait_until(lambda: path.node.settled(app_id, container), "the first one's retirement")
    image = docker(path.engine, "inspect", "--format={{.Image}}", container).strip()
    assert job["image"] in docker(path.engine, "inspect", "--format={{json .RepoDigests}}", image)


def stages(job: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Attempt, phase and outcome of each."""
    return [(each["attempt"], each["phase"], each["outcome"]) for each in job["stages"]]


_REUSED = [(2, phase, "REUSED") for phase in ("CLONE", "BUILD", "PUSH")]
_PUSHED = [(1, phase, "DONE") for phase in ("CLONE", "BUILD", "PUSH")]


def test_a_runner_killed_after_its_push_is_followed_by_one_that_builds_nothing(
    path: WholePath, runner: Runner, registry_host: str
) -> None:
    """Its node's agent stands still, so that nothing but the push is done when it dies."""
    agent = psutil.Process(path.node.agent_pid)
    agent.suspend()
    try:
        job_id = path.publish("7", page("pushed"), acrRegistry=registry_host)
        real.wait_until(lambda: (1, "PUSH", "DONE") in stages(path.job(job_id)), "the push")
        runner.kill()
    finally:
        agent.resume()
    # What is built now would be another image.
    path.push("app-7", page("a later commit"))
    runner.start()
    job = path.succeeded(job_id)
    assert stages(job) == [*_PUSHED, (1, "DEPLOY", "UNFINISHED"), *_REUSED, (2, "DEPLOY", "DONE")]
    assert job["imageDigest"] == job["stages"][2]["imageDigest"]
    assert job["stages"][2]["bytes"] > 100_000
    assert path.log(job_id).count("[build]") == 1
    assert path.node.page("/runtime/7/").text == "pushed\n"


def test_a_runner_killed_while_it_deploys_is_followed_by_one_that_deploys_the_same_image(
    path: WholePath, runner: Runner, registry_host: str
) -> None:
    slow = {"Dockerfile": f"FROM busybox:1.36\nRUN mkdir /www && echo slow > /www/index.html\nCMD sleep 2; {_SERVE}\n"}
    job_id = path.publish("8", slow, acrRegistry=registry_host)
    real.wait_until(lambda: path.node.containers("8") != [], "the first attempt's container")
    runner.kill()
    runner.start()
    job = path.succeeded(job_id)
    assert stages(job) == [*_PUSHED, (1, "DEPLOY", "UNFINISHED"), *_REUSED, (2, "DEPLOY", "DONE")]
    assert job["image"].endswith(f"@{job['stages'][2]['imageDigest']}")
    container = f"rt-u-7-8-r{job['fence']}"
    real.wait_until(lambda: path.node.settled("8", container), "the end of the first attempt's container")
    assert path.node.page("/runtime/8/").text == "slow\n"


@pytest.mark.parametrize(("app_id", "drain_seconds", "signals"), [("11", "600", 2), ("12", "0.5", 1)])
def test_a_runner_that_is_stopped_hands_its_job_to_the_next_one_at_once(
    path: WholePath, app_id: str, drain_seconds: str, signals: int
) -> None:
    """The lease is so long that its end could not be what frees the job."""
    mark = a_mark()
    ours = {"RUNNER_LABELS": "stops", "JOB_LEASE_SECONDS": "3600", "RUNNER_DRAIN_SECONDS": drain_seconds}
    path.push(f"app-{app_id}", page("handed on", f"RUN sleep 3 && echo {mark}"))
    with path.running("runner-c", **ours) as first:
        job_id = path.create(app_id, requires=("stops",))
        real.wait_until(lambda: path.builds(mark), "the build's start")
        for number in range(signals):
            first.signal(signal.SIGTERM)
            told = "no more claims" if number == 0 else "they are handed back"
            real.wait_until(lambda told=told: told in first.said, "what the signal leads to")  # type: ignore[misc]
        real.wait_until(lambda: path.job(job_id)["returns"] == 1, "the return")
        real.wait_until(lambda: first.ended, "the runner's end")
        # The engine was told before the runner ended, and takes a moment to do it.
        real.wait_until(lambda: not path.builds(mark), "the end of the build")
        assert (first.folders(), first.tools()) == ([], [])
    assert path.job(job_id)["status"] == "PENDING"
    with path.running("runner-d", RUNNER_LABELS="stops"):
        job = path.succeeded(job_id)
    assert (job["attempt"], job["returns"], job["returnedBy"]) == (2, 1, "runner-c")
    made = [("created", "api"), ("claimed", "runner:runner-c"), ("returned", "runner:runner-c")]
    made += [("claimed", "runner:runner-d"), ("confirmed", f"node:{path.namespace}")]
    real.wait_until(lambda: path.history(job_id) == [*made, ("succeeded", "runner:runner-d")], "the last event")
    log = path.log(job_id)
    assert "hands the job back\n" in log and "[gap]" not in log


def test_a_runner_on_a_full_disk_claims_nothing_and_says_so_everywhere(path: WholePath) -> None:
    full = {"RUNNER_DISK_STOP_PCT": "100", "RUNNER_DISK_RESUME_PCT": "100", "RUNNER_DISK_ENOUGH_GB": "1000000"}
    job_id = path.create("13", image="busybox:1.36", requires=("small",))
    with path.running("runner-e", RUNNER_LABELS="small", **full) as runner:

        def waits_for_room() -> bool:
            waiting = path.job(job_id)["waitingFor"] or {}
            return bool(
                waiting.get("reason") == "runners_paused" and "runner-e: RUNNER_WORKDIR has" in waiting["message"]
            )

        real.wait_until(waits_for_room, "the explanation")
        told = next(
            each
            for each in path.call("GET", "/admin/runners/list", secret="Admin-Token")
            if each["runnerId"] == "runner-e"
        )
        assert (told["health"], told["vitals"]["pause"]["reason"]) == ("HEALTHY", "disk")
        assert told["vitals"]["disks"][0]["freeBytes"] > 0 and "no job is claimed: a disk gets full" in runner.said
        ready = httpx.get(f"http://127.0.0.1:{runner.port}/internal/ready", trust_env=False, verify=False)
        assert ready.status_code == 503 and "disk" in ready.json()["data"]["checks"]
    path.call("POST", f"/deploy/jobs/{job_id}/cancel")


def test_a_runner_without_an_engine_builds_with_buildah_what_brings_no_dockerfile(
    path: WholePath, runner: Runner, registry_host: str
) -> None:
    real.program("buildah", "buildah")
    # What other tests committed is still there.
    (path.git.folder / "work" / "Dockerfile").unlink(missing_ok=True)
    base, mark = f"{registry_host}/{path.namespace}/busybox:1", str(random.randint(10**8, 10**9))
    docker(path.engine, "tag", "busybox:1.36", base)
    docker(path.engine, "push", base)
    settings = {"DOCKER_HOST": "unix:///nowhere/docker.sock", "ACR_REGISTRY": registry_host, "RUNNER_LABELS": "buildah"}
    second = path.runner("runner-c", RUNNER_STATIC_IMAGE=base, **settings)
    try:
        second.start()
        assert "images are built by buildah" in second.said and "the engine does not answer" in second.said
        job = path.succeeded(_required(path, "17", {"index.html": "no dockerfile"}))
        assert "the template static is used" in path.log(job["id"])
        assert path.node.page("/runtime/17/").text == "no dockerfile"
        job_id = _required(path, "18", {"Dockerfile": f"FROM {base}\nRUN sleep {mark}\n"})
        real.wait_until(lambda: _runs(f"sleep {mark}"), "the build's start")
        second.kill()
        real.wait_until(lambda: not _runs(mark), "the end of the build whose runner died")
        path.call("POST", f"/deploy/jobs/{job_id}/cancel")
        second.start()
        assert list((second.work / ".buildah" / "jobs").iterdir()) == []
        containers = second.work / ".buildah" / "store" / "root" / "overlay-containers" / "containers.json"
        assert json.loads(containers.read_text()) == []
    finally:
        second.close()


def _required(path: WholePath, app_id: str, files: dict[str, str]) -> str:
    """The id of a job that only a runner with buildah may take."""
    path.push(f"app-{app_id}", files)
    payload = {"userId": 7, "appId": app_id, "repoSshUrl": path.git.url(), "gitRef": f"app-{app_id}"}
    order = {"type": "BUILD_AND_DEPLOY", "payload": payload, "requires": ["buildah"]}
    return str(path.call("POST", "/deploy/jobs", order)["id"])


def _runs(words: str) -> bool:
    return any(words in " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
