"""The existing runner, unchanged, completes jobs against our control plane and our agent."""

import secrets
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.support import real
from tests.support.existing_runner import ExistingRunner
from tests.support.git_host import git_host
from tests.support.runtime_node import TOKEN
from tests.support.whole_path import REPOSITORY, WholePath, page, whole_path

pytestmark = [pytest.mark.real, pytest.mark.slow]
_RUN = secrets.token_hex(3)


@pytest.fixture(scope="module")
def path(real_parts: Path, docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholePath]:
    open_to_it = {"DEPLOY_RUNNER_AUTH_ENABLED": "false", "DEPLOY_RUNNER_TOKEN": ""}
    admitting = {"RUNTIME_REQUIRE_FENCE": "false"}
    with (
        git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as git,
        whole_path(real_parts / "xr", docker_url, git, f"e2e-x-{_RUN}", deploy=open_to_it, agent=admitting) as running,
    ):
        yield running


@pytest.fixture
def runner(path: WholePath, registry_host: str, tmp_path: Path) -> ExistingRunner:
    git = path.git
    return ExistingRunner(
        path.deploy_url, TOKEN, path.engine, tmp_path, git.bot_key, git.known_hosts, registry_host, lease_seconds=6
    )


def test_it_builds_pushes_and_deploys_again_and_again(path: WholePath, runner: ExistingRunner) -> None:
    """The second build takes longer than the lease, which its heartbeat thread extends."""
    assert runner.once() is None
    for version, seconds in (("v1", 0), ("v2", runner.lease_seconds + 1)):
        # Nothing but what the contract asks for: no base path, so that the runner's own default is used.
        slow = f"RUN sleep {seconds} && echo {_RUN}"
        job_id = path.publish("11", page(version, slow), acrNamespace=path.namespace)
        assert runner.once() == job_id
        job = path.succeeded(job_id)
        assert (job["attempt"], job["runnerId"]) == (1, "runner-01")
        for address in ("/apps/11/", "/runtime/11/"):
            assert path.node.page(address).text == f"{version}\n"
        assert job["deployUrl"] == f"{path.node.gateway_url}/runtime/11/"
        real.wait_until(lambda: len(path.node.containers("11")) == 1, "the old one's retirement")
    assert {beat["status"] for beat in runner.beats} == {"RUNNING"}
    # A phase that takes long has several heartbeats.
    phases = [phase for phase, _ in groupby(beat["payload"]["phase"] for beat in runner.beats)]
    assert phases[:4] == ["CLONE", "BUILD", "PUSH", "DEPLOY"]


def test_its_failure_is_told_and_the_app_serves_on(path: WholePath, runner: ExistingRunner) -> None:
    path.publish("13", page("good"), acrNamespace=path.namespace)
    runner.once()
    crash = 'FROM busybox:1.36\nCMD ["sh","-c","echo it breaks here >&2; exit 7"]\n'
    build = "FROM busybox:1.36\nRUN echo almost-there && exit 7\n"
    for dockerfile, says in ((build, "almost-there"), (crash, "500 for")):
        with path.visited("/apps/13/") as seen:
            job_id = path.publish("13", {"Dockerfile": dockerfile}, acrNamespace=path.namespace)
            runner.once()
        job = path.ended(job_id)
        assert (job["status"], job["reason"]) == ("FAILED", "reported")
        assert says in job["errorMessage"]
        assert set(seen) == {"good"}, seen
