"""The git server as people and runners use it: the real `git` and `ssh` against the real process."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.support import real

pytestmark = pytest.mark.real

OWN = "funai/u1-app20001"


@dataclass(frozen=True)
class Server:
    """A running git server with three known keys: a user who may write, a bot that may read, a stranger."""

    folder: Path
    port: int
    process: psutil.Process

    def url(self, repository: str = OWN) -> str:
        return f"ssh://git@127.0.0.1:{self.port}/{repository}.git"

    def bare(self, repository: str = OWN) -> Path:
        return self.folder / "repositories" / f"{repository}.git"

    def environment(self, key: str) -> dict[str, str]:
        return {
            **os.environ,
            "GIT_SSH_COMMAND": " ".join(self.ssh(key)[:-3]),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": str(self.folder / "gitconfig"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def ssh(self, key: str, user: str = "git") -> list[str]:
        known, identity = self.folder / "known_hosts", self.folder / key
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={known}", "IdentitiesOnly=yes"]
        flags = [part for option in options for part in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(identity), *flags, "-p", str(self.port), f"{user}@127.0.0.1"]

    def git(self, *argv: str, key: str = "writer", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = ["git", *argv]
        return subprocess.run(
            command, env=self.environment(key), cwd=cwd, capture_output=True, text=True, timeout=120, check=False
        )

    def grant(self, grants: Mapping[str, Sequence[tuple[str, str]]]) -> None:
        """Replace the access file as the API does: a new file under the old name."""
        keys = [
            {
                "principal": name,
                "fingerprint": fingerprint(self.folder / f"{name}.pub"),
                "publicKey": " ".join((self.folder / f"{name}.pub").read_text().split()[:2]),
                "grants": [{"repository": repository, "access": access} for repository, access in rights],
            }
            for name, rights in grants.items()
        ]
        self.replace(json.dumps({"keys": keys}))

    def replace(self, text: str) -> None:
        draft = self.folder / "access.json.new"
        draft.write_text(text)
        draft.rename(self.folder / "access.json")

    def serving(self) -> list[psutil.Process]:
        return [child for child in self.process.children(recursive=True) if child.is_running()]


def fingerprint(public: Path) -> str:
    line = subprocess.run(["ssh-keygen", "-lf", str(public)], capture_output=True, text=True, check=True).stdout
    return line.split()[1]


def environment(folder: Path, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "GIT_HOST": "127.0.0.1",
        "GIT_PORT": str(port),
        "GIT_DATA_DIR": str(folder / "repositories"),
        "GIT_HOST_KEY_PATH": str(folder / "host_key"),
        "GIT_ACCESS_FILE": str(folder / "access.json"),
    }


DAEMON = [sys.executable, "-m", "daemons.git"]
GRANTS = {"writer": [(OWN, "write"), ("funai/u1-app20002", "write")], "bot": [("*", "read")]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    real.program("git", "git")
    real.program("ssh", "openssh-client")
    folder = tmp_path_factory.mktemp("git")
    for name in ("writer", "bot", "stranger"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "gitconfig").write_text("[user]\n\tname = Test\n\temail = test@example.org\n[protocol]\n\tversion = 2\n")
    port = real.free_port()
    with real.process(DAEMON, folder / "git.log", env=environment(folder, port)) as child:
        real.wait_until(lambda: real.listening(port), "the git server's start")
        host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        server = Server(folder, port, psutil.Process(child.pid))
        server.grant(GRANTS)
        yield server
        assert child.poll() is None, "the server crashed during the tests"


@pytest.fixture
def work(server: Server, tmp_path: Path) -> Path:
    """A clone of the user's repository with one commit pushed to main."""
    clone = tmp_path / "work"
    assert server.git("clone", server.url(), str(clone)).returncode == 0
    (clone / "page.html").write_text("hello\n")
    server.git("add", "-A", cwd=clone)
    server.git("commit", "-q", "--allow-empty", "-m", "a page", cwd=clone)
    pushed = server.git("push", "-q", "origin", "HEAD:main", cwd=clone)
    assert pushed.returncode == 0, pushed.stderr
    return clone


def test_what_was_pushed_can_be_cloned_by_a_reader(server: Server, work: Path, tmp_path: Path) -> None:
    cloned = server.git("clone", server.url(), str(tmp_path / "copy"), key="bot")
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "copy" / "page.html").read_text() == "hello\n"


def test_head_of_a_new_repository_is_main(server: Server, work: Path) -> None:
    assert (server.bare() / "HEAD").read_text() == "ref: refs/heads/main\n"
    assert not (server.bare() / "hooks").exists()


def test_protocol_version_2_is_spoken(server: Server, work: Path) -> None:
    traced = subprocess.run(
        ["git", "ls-remote", server.url()],
        env=server.environment("bot") | {"GIT_TRACE_PACKET": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "< version 2" in traced.stderr
    assert "refs/heads/main" in traced.stdout


def test_a_commit_can_be_fetched_by_its_number_and_partially(server: Server, work: Path, tmp_path: Path) -> None:
    commit = server.git("rev-parse", "HEAD", cwd=work).stdout.strip()
    server.git("init", "-q", str(tmp_path / "part"))
    fetched = server.git(
        "fetch", "-q", "--depth", "1", "--filter=blob:none", server.url(), commit, key="bot", cwd=tmp_path / "part"
    )
    assert fetched.returncode == 0, fetched.stderr


def test_forty_megabytes_go_both_ways(server: Server, tmp_path: Path) -> None:
    clone = tmp_path / "big"
    url = server.url("funai/u1-app20002")
    assert server.git("clone", "-q", url, str(clone)).returncode == 0
    (clone / "blob").write_bytes(os.urandom(40 * 1024 * 1024))
    server.git("add", "blob", cwd=clone)
    server.git("commit", "-q", "-m", "large", cwd=clone)
    pushed = server.git("push", "-q", "origin", "HEAD:main", cwd=clone)
    assert pushed.returncode == 0, pushed.stderr
    cloned = server.git("clone", "-q", url, str(tmp_path / "again"), key="bot")
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "again" / "blob").read_bytes() == (clone / "blob").read_bytes()


def test_a_reader_may_not_push(server: Server, work: Path) -> None:
    server.git("commit", "-q", "--allow-empty", "-m", "another", cwd=work)
    pushed = server.git("push", "origin", "HEAD:main", key="bot", cwd=work)
    assert pushed.returncode != 0
    assert "may read funai/u1-app20001.git but not push" in pushed.stderr


def test_an_unknown_key_does_not_get_in(server: Server, work: Path) -> None:
    refused = server.git("ls-remote", server.url(), key="stranger")
    assert refused.returncode != 0
    assert "Permission denied (publickey)" in refused.stderr


def test_only_the_user_git_gets_in(server: Server) -> None:
    run = subprocess.run(server.ssh("writer", user="root"), capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 255
    assert "Permission denied (publickey)" in run.stderr


@pytest.mark.parametrize("repository", ["funai/u2-app30000", "funai/never-made"])
def test_nobody_makes_a_repository_that_is_not_theirs(server: Server, repository: str) -> None:
    for key in ("writer", "bot"):
        refused = server.git("ls-remote", server.url(repository), key=key)
        assert refused.returncode != 0
        assert "does not exist, or this key has no access" in refused.stderr
    assert not server.bare(repository).exists()


@pytest.mark.parametrize(
    "command",
    [
        "git-upload-pack '../../../../etc/passwd.git'",
        "git-upload-pack '/funai/../funai/u1-app20001.git'",
        "git-upload-pack 'funai/u1-app20001.git'; touch INJECTED",
        "git-upload-pack 'funai/u1-app20001.git' && touch INJECTED",
        "git-upload-pack $(touch INJECTED)",
        "git-upload-pack --upload-pack=touch 'funai/u1-app20001.git'",
        "git-upload-pack '--help.git'",
        "git upload-pack 'funai/u1-app20001.git'",
        "git-shell -c id",
        "scp -t /tmp",
        "sh -c id",
        "id",
        "git-upload-pack 'funai/u1-app20001.git",
        "git-upload-pack 'funai/u1-app20001.git\n.git'",
        "x" * 100_000,
    ],
)
def test_nothing_but_git_on_one_path_is_run(server: Server, command: str) -> None:
    run = subprocess.run([*server.ssh("writer"), command], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("funai: ")
    assert run.stdout == ""
    assert not Path("INJECTED").exists()


def test_a_shell_is_refused_in_words(server: Server) -> None:
    run = subprocess.run([*server.ssh("writer"), "-T"], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 1
    assert "git only, no shell" in run.stderr


def test_file_transfer_and_forwarding_are_refused(server: Server) -> None:
    sftp = subprocess.run(
        [*server.ssh("writer"), "-s", "sftp"], capture_output=True, text=True, timeout=120, check=False, input=""
    )
    assert sftp.returncode != 0
    target = f"127.0.0.1:{server.port}"
    forward = subprocess.run(
        [*server.ssh("writer"), "-W", target], capture_output=True, text=True, timeout=120, check=False, input=""
    )
    assert "stdio forwarding failed" in forward.stderr  # the target listens: only the server can have refused


def test_a_client_that_is_killed_leaves_no_git_behind(server: Server, tmp_path: Path) -> None:
    clone = tmp_path / "big"
    url = server.url("funai/u1-app20002")
    server.git("clone", "-q", url, str(clone))
    (clone / "more").write_bytes(os.urandom(40 * 1024 * 1024))
    server.git("add", "more", cwd=clone)
    server.git("commit", "-q", "-m", "more", cwd=clone)
    assert server.git("push", "-q", "origin", "HEAD:main", cwd=clone).returncode == 0
    argv = ["git", "clone", "-q", url, str(tmp_path / "half")]
    client = subprocess.Popen(argv, env=server.environment("bot"), start_new_session=True, stderr=subprocess.DEVNULL)
    real.wait_until(lambda: bool(server.serving()), "the start of the transfer")
    os.killpg(client.pid, signal.SIGKILL)
    client.wait()
    real.wait_until(lambda: not server.serving(), "the end of the git process")


def test_two_first_uses_at_once_make_one_repository(server: Server, tmp_path: Path) -> None:
    server.grant({**GRANTS, "writer": [*GRANTS["writer"], ("funai/u1-app20003", "write")]})
    argv = ["git", "ls-remote", server.url("funai/u1-app20003")]
    clients = [subprocess.Popen(argv, env=server.environment("writer"), stderr=subprocess.PIPE) for _ in range(6)]
    for client in clients:
        _, said = client.communicate(timeout=120)
        assert client.returncode == 0, said
    assert [path.name for path in server.bare("funai/u1-app20003").parent.iterdir() if path.name.startswith(".")] == []
    server.grant(GRANTS)


def test_a_right_that_is_taken_away_ends_at_once_and_a_broken_file_changes_nothing(server: Server, work: Path) -> None:
    server.replace('{"keys": [{"principal": 7}]}')
    assert server.git("ls-remote", server.url()).returncode == 0
    server.grant({"bot": GRANTS["bot"]})
    assert server.git("ls-remote", server.url()).returncode != 0
    (server.folder / "access.json").unlink()
    assert server.git("ls-remote", server.url(), key="bot").returncode != 0
    server.grant(GRANTS)
    assert server.git("ls-remote", server.url(), key="bot").returncode == 0


def test_a_corrupt_object_is_not_taken_in(server: Server, work: Path) -> None:
    bad = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"],
        input=b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor nobody\ncommitter nobody\n\nx\n",
        cwd=work,
        capture_output=True,
        check=True,
    ).stdout.decode()
    subprocess.run(["git", "hash-object", "-t", "tree", "-w", "/dev/null"], cwd=work, check=True, capture_output=True)
    pushed = server.git("push", "origin", f"{bad.strip()}:refs/heads/bad", cwd=work)
    assert pushed.returncode != 0
    assert "fsck" in pushed.stderr or "missingEmail" in pushed.stderr or "unpacker error" in pushed.stderr


def test_the_host_key_is_private_and_survives_a_restart(server: Server, tmp_path: Path) -> None:
    assert (server.folder / "host_key").stat().st_mode & 0o777 == 0o600
    before = (server.folder / "host_key").read_bytes()
    port = real.free_port()
    with real.process(DAEMON, tmp_path / "log", env=environment(server.folder, port)):
        real.wait_until(lambda: real.listening(port), "a second server's start")
    assert (server.folder / "host_key").read_bytes() == before


def test_a_taken_port_is_named_with_exit_78(server: Server) -> None:
    run = subprocess.run(
        DAEMON, env=environment(server.folder, server.port), capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 78
    assert f"git cannot listen on 127.0.0.1:{server.port}" in run.stderr


def test_idle_memory_is_small(server: Server) -> None:
    assert server.process.memory_info().rss < 120 * 1024 * 1024


def test_a_peer_that_speaks_no_ssh_does_no_harm(server: Server, work: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
    assert server.git("ls-remote", server.url()).returncode == 0
