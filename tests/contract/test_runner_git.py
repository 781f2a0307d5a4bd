"""The runner's git adapter: the real `git` and `ssh` against the platform's own git server."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from daemons.runner.adapters.git import GitKeys, GitRepository
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Source
from protocol.errors import JobReason
from tests.support import real

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


@dataclass(frozen=True)
class Host:
    """A git server with one repository: branch main, tag v1 on its first commit, and a branch and tag named `both`."""

    folder: Path
    port: int
    commits: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> GitKeys:
        return GitKeys(self.folder / "bot", self.folder / "known_hosts")

    def url(self, repository: str = REPOSITORY) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/{repository}.git"

    def run(self, *argv: str, cwd: Path | None = None) -> str:
        ssh = f"ssh -F none -i {self.folder}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={self.folder}/known_hosts"
        env = {**os.environ, "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(self.folder)}
        identity = ["-c", "user.name=U", "-c", "user.email=u@example.com", "-c", "init.defaultBranch=main"]
        done = subprocess.run(["git", *identity, *argv], cwd=cwd, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _grant(folder: Path) -> None:
    keys = []
    for name, access in (("user", "write"), ("bot", "read")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        public = folder / f"{name}.pub"
        shown = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
        keys.append(
            {
                "principal": name,
                "fingerprint": shown.split()[1],
                "publicKey": " ".join(public.read_text().split()[:2]),
                "grants": [{"repository": REPOSITORY, "access": access}],
            }
        )
    (folder / "access.json").write_text(json.dumps({"keys": keys}))
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "stranger")], check=True)


def _fill(host: Host) -> None:
    work = host.folder / "work"
    host.run("init", str(work))
    for number, name in enumerate(("first", "second", "third")):
        (work / "number").write_text(f"{number}\n")
        host.run("add", ".", cwd=work)
        host.run("commit", "-m", name, cwd=work)
        host.commits[name] = host.run("rev-parse", "HEAD", cwd=work)
    host.run("tag", "-a", "v1", "-m", "release", host.commits["first"], cwd=work)
    host.run("tag", "both", host.commits["first"], cwd=work)
    host.run("branch", "both", host.commits["second"], cwd=work)
    host.run("push", host.url(), "refs/heads/main", "refs/heads/both", "refs/tags/v1", "refs/tags/both", cwd=work)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    real.program("git", "git")
    real.program("ssh-keygen", "openssh-client")
    folder = tmp_path_factory.mktemp("git")
    port = real.free_port()
    _grant(folder)
    env = {
        **os.environ,
        "GIT_HOST": "127.0.0.1",
        "GIT_PORT": str(port),
        "GIT_DATA_DIR": str(folder / "repositories"),
        "GIT_HOST_KEY_PATH": str(folder / "host"),
        "GIT_ACCESS_FILE": str(folder / "access.json"),
    }
    with real.process([sys.executable, "-m", "daemons.git"], folder / "server.log", env=env):
        real.wait_until(lambda: real.listening(port), "the git server's start")
        shown = subprocess.run(
            ["ssh-keygen", "-yf", str(folder / "host")], capture_output=True, text=True, check=True
        ).stdout
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(shown.split()[:2])}\n")
        made = Host(folder, port)
        _fill(made)
        yield made


@pytest.fixture
def log() -> Lines:
    return Lines()


@pytest.mark.parametrize(
    ("ref", "commit", "content"),
    [("main", "third", "2\n"), ("v1", "first", "0\n"), ("both", "second", "1\n"), ("refs/tags/both", "first", "0\n")],
)
async def test_branches_and_tags_are_checked_out(
    host: Host, tmp_path: Path, log: Lines, ref: str, commit: str, content: str
) -> None:
    found = await GitRepository(host.keys).checkout(Source(host.url(), ref), tmp_path, log)
    assert found == host.commits[commit]
    assert (tmp_path / "source" / "number").read_text() == content


async def test_a_commit_is_checked_out(host: Host, tmp_path: Path, log: Lines) -> None:
    commit = host.commits["second"]
    assert await GitRepository(host.keys).checkout(Source(host.url(), commit), tmp_path, log) == commit
    assert (tmp_path / "source" / "number").read_text() == "1\n"


async def test_the_checkout_is_shallow_and_without_hooks(host: Host, tmp_path: Path, log: Lines) -> None:
    await GitRepository(host.keys).checkout(Source(host.url(), "main"), tmp_path, log)
    tree = tmp_path / "source"
    assert host.run("rev-list", "--count", "HEAD", cwd=tree) == "1"
    assert not (tree / ".git" / "hooks").exists()
    assert not [path for path in (tmp_path / "home").iterdir() if path.name != ".ssh"]


async def test_a_reference_that_does_not_exist_is_named(host: Host, tmp_path: Path, log: Lines) -> None:
    with pytest.raises(WorkFailed, match="no branch, tag or commit absent") as failed:
        await GitRepository(host.keys).checkout(Source(host.url(), "absent"), tmp_path, log)
    assert failed.value.reason is JobReason.CLONE_FAILED


async def test_a_reference_that_starts_with_a_dash_is_refused_before_git_runs(host: Host) -> None:
    with pytest.raises(WorkFailed, match="gitRef"):
        Source(host.url(), "--upload-pack=touch /tmp/x")


async def test_a_repository_without_access_is_told_from_the_servers_words(
    host: Host, tmp_path: Path, log: Lines
) -> None:
    with pytest.raises(WorkFailed, match="could not be fetched") as failed:
        await GitRepository(host.keys).checkout(Source(host.url("funai/u2-app2"), "main"), tmp_path, log)
    assert failed.value.exit_code == 128
    assert "no access to it" in log.text


async def test_a_key_the_server_does_not_know_is_told(host: Host, tmp_path: Path, log: Lines) -> None:
    keys = GitKeys(host.folder / "stranger", host.keys.known_hosts)
    with pytest.raises(WorkFailed, match="GIT_SSH_KEY_PATH"):
        await GitRepository(keys).checkout(Source(host.url(), "main"), tmp_path, log)


async def test_an_unknown_host_key_is_never_accepted(host: Host, tmp_path: Path, log: Lines) -> None:
    unknown = tmp_path / "known_hosts"
    unknown.write_text("")
    with pytest.raises(WorkFailed, match="GIT_KNOWN_HOSTS_PATH"):
        await GitRepository(GitKeys(host.keys.key, unknown)).checkout(Source(host.url(), "main"), tmp_path, log)
    assert unknown.read_text() == ""


async def test_a_host_that_is_not_there_is_told(host: Host, tmp_path: Path, log: Lines) -> None:
    url = f"ssh://git@127.0.0.1:{real.free_port()}/{REPOSITORY}.git"
    with pytest.raises(WorkFailed, match="refuses connections"):
        await GitRepository(host.keys).checkout(Source(url, "main"), tmp_path, log)


async def test_the_environment_of_the_runner_does_not_reach_git(
    host: Host, tmp_path: Path, log: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "not a number")
    assert await GitRepository(host.keys).checkout(Source(host.url(), "main"), tmp_path, log)


async def test_a_cancelled_fetch_leaves_no_process(tmp_path: Path, log: Lines, host: Host) -> None:
    shutil.rmtree(tmp_path / "bin", ignore_errors=True)
    (tmp_path / "bin").mkdir()
    stubborn = tmp_path / "bin" / "ssh"
    stubborn.write_text("#!/bin/sh\ntrap '' TERM HUP PIPE\necho here >&2\nwhile :; do sleep 1; done\n")
    stubborn.chmod(0o755)
    repository = GitRepository(host.keys, path=f"{tmp_path}/bin:/usr/bin:/bin")
    async with asyncio.TaskGroup() as group:
        fetching = group.create_task(repository.checkout(Source(host.url(), "main"), tmp_path, log))
        async with asyncio.timeout(20):
            await log.first.wait()
        assert _inside(tmp_path)
        fetching.cancel()
    assert _inside(tmp_path) == []


async def test_a_fetch_that_takes_too_long_is_ended(tmp_path: Path, log: Lines, host: Host) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\nsleep 1000\n")
    (tmp_path / "bin" / "ssh").chmod(0o755)
    repository = GitRepository(host.keys, path=f"{tmp_path}/bin:/usr/bin:/bin", seconds=0.2)
    with pytest.raises(WorkFailed, match=r"within 0\.2 s"):
        await repository.checkout(Source(host.url(), "main"), tmp_path, log)
    assert _inside(tmp_path) == []


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
