"""The platform's own git server as a process, with one repository, a user who writes to it and a bot that reads."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import real

_IDENTITY = ("-c", "user.name=U", "-c", "user.email=u@example.com", "-c", "init.defaultBranch=main")


@dataclass(frozen=True)
class GitHost:
    """A running git server and a working copy of its repository; `commits` is for the test to fill."""

    folder: Path
    port: int
    repository: str
    commits: dict[str, str] = field(default_factory=dict)
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def bot_key(self) -> Path:
        """The private key that may read."""
        return self.folder / "bot"

    @property
    def known_hosts(self) -> Path:
        """A file with the server's key."""
        return self.folder / "known_hosts"

    @property
    def loans(self) -> Path:
        """The folder of keys that are lent."""
        return self.folder / "loans"

    def url(self, repository: str | None = None) -> str:
        """The address of a repository, the one there is by default."""
        return f"ssh://git@127.0.0.1:{self.port}/{repository or self.repository}.git"

    def git(self, *argv: str, cwd: Path | None = None) -> str:
        """Run git as the user, in the working copy by default."""
        ssh = f"ssh -F none -i {self.folder}/user -o IdentitiesOnly=yes -o UserKnownHostsFile={self.known_hosts}"
        env = {**os.environ, "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": str(self.folder)}
        argv = ("git", *_IDENTITY, *argv)
        done = subprocess.run(
            argv, cwd=cwd or self.folder / "work", env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str]) -> str:
        """Commit these files; answers the commit."""
        for name, content in files.items():
            path = self.folder / "work" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.git("add", ".")
        self.git("commit", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def push(self, *refs: str) -> None:
        """Push references as they are named."""
        self.git("push", "--force", self.url(), *refs)

    def by_key(self, key: bytes, *argv: str) -> subprocess.CompletedProcess[str]:
        """Git in the working copy, by whoever has this private key."""
        path = self.folder / "lent"
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_bytes(key)
        ssh = f"ssh -F none -i {path} -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile={self.known_hosts}"
        env = {"GIT_SSH_COMMAND": ssh, "PATH": "/usr/bin:/bin", "HOME": str(self.folder)}
        return subprocess.run(
            ["git", *argv], capture_output=True, text=True, check=False, env=env, cwd=self.folder / "work"
        )

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The server accepts connections and answers nothing for the duration of the block."""
        for server in self.servers:
            server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for server in self.servers:
                server.send_signal(signal.SIGCONT)


@contextmanager
def git_host(folder: Path, repository: str) -> Iterator[GitHost]:
    """The server, for the duration of the block."""
    real.program("git", "git")
    real.program("ssh-keygen", "openssh-client")
    port = real.free_port()
    found = GitHost(folder, port, repository)
    keys = [_key(folder, name, repository, access) for name, access in (("user", "write"), ("bot", "read"))]
    _generate(folder / "stranger")
    (folder / "access.json").write_text(json.dumps({"keys": keys}))
    env = {
        **os.environ,
        "GIT_HOST": "127.0.0.1",
        "GIT_PORT": str(port),
        "GIT_DATA_DIR": str(folder / "repositories"),
        "GIT_HOST_KEY_PATH": str(folder / "host"),
        "GIT_ACCESS_FILE": str(folder / "access.json"),
        "GIT_LOANS_DIR": str(found.loans),
    }
    with real.process([sys.executable, "-m", "daemons.git"], folder / "server.log", env=env) as server:
        found.servers.append(server)
        real.wait_until(lambda: real.listening(port), "the git server's start")
        public = _output("ssh-keygen", "-yf", str(folder / "host"))
        key = " ".join(public.split()[:2])
        found.known_hosts.write_text(f"[127.0.0.1]:{port} {key}\n")
        (folder / "work").mkdir()
        found.git("init")
        yield found


def _key(folder: Path, name: str, repository: str, access: str) -> dict[str, object]:
    _generate(folder / name)
    public = folder / f"{name}.pub"
    return {
        "principal": name,
        "fingerprint": _output("ssh-keygen", "-lf", str(public)).split()[1],
        "publicKey": " ".join(public.read_text().split()[:2]),
        "grants": [{"repository": repository, "access": access}],
    }


def _generate(path: Path) -> None:
    _output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
