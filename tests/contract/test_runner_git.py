"""The runner's git adapter: the real `git` and `ssh` against the platform's own git server."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Source
from protocol.errors import JobReason
from tests.support import real
from tests.support.git_host import GitHost, git_host
from tests.support.real import wait_until

pytestmark = pytest.mark.real

REPOSITORY = "funai/u1-app20001"


class Lines:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""
        self.first = asyncio.Event()

    async def write(self, text: str) -> None:
        self.text += text
        self.first.set()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    """A git server with one repository: branch main, tag v1 on its first commit, and a branch and tag named `both`."""
    with git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as made:
        _fill(made)
        yield made


def _fill(host: GitHost) -> None:
    for number, name in enumerate(("first", "second", "third")):
        host.commits[name] = host.commit({"number": f"{number}\n"})
    host.git("tag", "-a", "v1", "-m", "release", host.commits["first"])
    host.git("tag", "both", host.commits["first"])
    host.git("branch", "both", host.commits["second"])
    host.push("refs/heads/main", "refs/heads/both", "refs/tags/v1", "refs/tags/both")


@pytest.fixture
def log() -> Lines:
    return Lines()


def keys(host: GitHost) -> GitKeys:
    return GitKeys(host.bot_key, host.known_hosts)


def repository(host: GitHost, folder: Path, policy: GitPolicy | None = None) -> GitRepository:
    """One whose mirrors are in the folder."""
    return GitRepository(keys(host), folder / "mirrors", policy or GitPolicy())


def attempt(folder: Path, name: str = "a") -> Path:
    """An attempt's folder."""
    (folder / name).mkdir()
    return folder / name


@pytest.mark.parametrize(
    ("ref", "commit", "content"),
    [("main", "third", "2\n"), ("v1", "first", "0\n"), ("both", "second", "1\n"), ("refs/tags/both", "first", "0\n")],
)
async def test_branches_and_tags_are_checked_out(
    host: GitHost, tmp_path: Path, log: Lines, ref: str, commit: str, content: str
) -> None:
    found = await repository(host, tmp_path).checkout(Source(host.url(), ref), attempt(tmp_path), log)
    assert (found.commit, found.bytes) == (host.commits[commit], 2)
    assert (tmp_path / "a" / "source" / "number").read_text() == content


async def test_a_commit_is_checked_out(host: GitHost, tmp_path: Path, log: Lines) -> None:
    commit = host.commits["second"]
    found = await repository(host, tmp_path).checkout(Source(host.url(), commit), attempt(tmp_path), log)
    assert found.commit == commit
    assert (tmp_path / "a" / "source" / "number").read_text() == "1\n"


async def test_the_checkout_is_shallow_and_without_hooks(host: GitHost, tmp_path: Path, log: Lines) -> None:
    await repository(host, tmp_path).checkout(Source(host.url(), "main"), attempt(tmp_path), log)
    assert [path.name for path in (tmp_path / "a" / "source").iterdir()] == ["number"]
    (mirror,) = (tmp_path / "mirrors").glob("*/*.git")
    assert host.git("rev-list", "--count", "--all", cwd=mirror) == "1"
    assert not (mirror / "hooks").exists()
    assert host.url() not in (mirror / "config").read_text()
    assert not [path for path in (tmp_path / "a" / "home").iterdir() if path.name != ".ssh"]


async def test_a_reference_that_does_not_exist_is_named(host: GitHost, tmp_path: Path, log: Lines) -> None:
    with pytest.raises(WorkFailed, match="no branch, tag or commit absent") as failed:
        await repository(host, tmp_path).checkout(Source(host.url(), "absent"), attempt(tmp_path), log)
    assert failed.value.reason is JobReason.CLONE_FAILED


async def test_a_reference_that_starts_with_a_dash_is_refused_before_git_runs(host: GitHost) -> None:
    with pytest.raises(WorkFailed, match="gitRef"):
        Source(host.url(), "--upload-pack=touch /tmp/x")


async def test_a_repository_without_access_is_told_from_the_servers_words(
    host: GitHost, tmp_path: Path, log: Lines
) -> None:
    with pytest.raises(WorkFailed, match="could not be fetched") as failed:
        await repository(host, tmp_path).checkout(Source(host.url("funai/u2-app2"), "main"), attempt(tmp_path), log)
    assert failed.value.exit_code == 128
    assert "no access to it" in log.text


async def test_a_key_the_server_does_not_know_is_told(host: GitHost, tmp_path: Path, log: Lines) -> None:
    unknown = GitKeys(host.folder / "stranger", host.known_hosts)
    with pytest.raises(WorkFailed, match="GIT_SSH_KEY_PATH"):
        stranger = GitRepository(unknown, tmp_path / "mirrors", GitPolicy())
        await stranger.checkout(Source(host.url(), "main"), attempt(tmp_path), log)


async def test_a_host_without_a_known_key_is_not_even_called(host: GitHost, tmp_path: Path, log: Lines) -> None:
    unknown = tmp_path / "known_hosts"
    unknown.write_text("")
    mirrors = GitRepository(GitKeys(host.bot_key, unknown), tmp_path / "mirrors", GitPolicy(), path="/nowhere")
    with pytest.raises(WorkFailed, match=r"repoSshUrl: .*GIT_KNOWN_HOSTS_PATH") as failed:
        await mirrors.checkout(Source(host.url(), "main"), attempt(tmp_path), log)
    assert failed.value.reason is JobReason.INVALID_PAYLOAD


async def test_another_host_key_than_the_known_one_is_never_accepted(host: GitHost, tmp_path: Path, log: Lines) -> None:
    other = tmp_path / "known_hosts"
    key = " ".join((host.folder / "stranger.pub").read_text().split()[:2])
    other.write_text(f"[127.0.0.1]:{host.port} {key}\n")
    checked = GitRepository(GitKeys(host.bot_key, other), tmp_path / "mirrors", GitPolicy())
    with pytest.raises(WorkFailed, match="GIT_KNOWN_HOSTS_PATH"):
        await checked.checkout(Source(host.url(), "main"), attempt(tmp_path), log)
    assert key in other.read_text()


async def test_a_host_that_is_not_there_is_told(host: GitHost, tmp_path: Path, log: Lines) -> None:
    port = real.free_port()
    policy = GitPolicy(hosts=(f"127.0.0.1:{port}",))
    with pytest.raises(WorkFailed, match="refuses connections"):
        source = Source(f"ssh://git@127.0.0.1:{port}/{REPOSITORY}.git", "main")
        await repository(host, tmp_path, policy).checkout(source, attempt(tmp_path), log)


async def test_the_environment_of_the_runner_does_not_reach_git(
    host: GitHost, tmp_path: Path, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "not a number")
    found = await repository(host, tmp_path).checkout(Source(host.url(), "main"), attempt(tmp_path), log)
    assert found.commit == host.commits["third"]


async def test_a_cancelled_fetch_leaves_no_process(tmp_path: Path, log: Lines, host: GitHost) -> None:
    (tmp_path / "bin").mkdir()
    stubborn = tmp_path / "bin" / "ssh"
    stubborn.write_text("#!/bin/sh\ntrap '' TERM HUP PIPE\necho here >&2\nwhile :; do sleep 1; done\n")
    stubborn.chmod(0o755)
    bounded = GitRepository(keys(host), tmp_path / "mirrors", GitPolicy(), path=f"{tmp_path}/bin:/usr/bin:/bin")
    async with asyncio.TaskGroup() as group:
        fetching = group.create_task(bounded.checkout(Source(host.url(), "main"), attempt(tmp_path), log))
        async with asyncio.timeout(60):
            await log.first.wait()
            await asyncio.to_thread(_until_somebody_works_in, tmp_path)
        fetching.cancel()
    await asyncio.to_thread(_until_nobody_works_in, tmp_path)


async def test_a_fetch_that_takes_too_long_is_ended(tmp_path: Path, log: Lines, host: GitHost) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\nsleep 1000\n")
    (tmp_path / "bin" / "ssh").chmod(0o755)
    policy = GitPolicy(seconds=0.2)
    bounded = GitRepository(keys(host), tmp_path / "mirrors", policy, path=f"{tmp_path}/bin:/usr/bin:/bin")
    with pytest.raises(WorkFailed, match=r"within 0\.2 s"):
        await bounded.checkout(Source(host.url(), "main"), attempt(tmp_path), log)
    await asyncio.to_thread(_until_nobody_works_in, tmp_path)


def _until_somebody_works_in(folder: Path) -> None:
    """A process that is just being executed has no folder yet."""
    until = time.monotonic() + 90
    while not _inside(folder):
        assert time.monotonic() < until
        time.sleep(0.01)


def _until_nobody_works_in(folder: Path) -> None:
    """Who was killed is gone once the processor was his a last time. None of them would end by itself."""
    wait_until(lambda: _inside(folder) == [], "the end of all that the fetch began")


def _inside(folder: Path) -> list[int]:
    """Processes that work in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(str(folder)):
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
