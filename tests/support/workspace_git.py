"""A workspace node whose users have git, the platform's own git server, and somebody else who pushes as well."""

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import workspace_node
from tests.support.git_host import GitHost, git_host
from tests.support.workspace_node import Node, new_user

APP = "shop"
IMAGE = "funai-tests-git:1"
NPM_REGISTRY = "http://registry.internal.example:4873"


@dataclass
class World:
    """A node, the git server, and a user whose app has a repository there; the server's working copy is another clone
    of it, of somebody who may push as well."""

    node: Node
    host: GitHost
    user: str

    @property
    def app(self) -> Path:
        """The app's folder on this machine."""
        return self.node.home(self.user) / "apps" / APP

    @property
    def url(self) -> str:
        """The address of the app's repository."""
        return f"ssh://git@127.0.0.1:{self.host.port}/{self.host.repository}.git"

    def write(self, name: str, text: str) -> None:
        """As the user does."""
        quoted = f"mkdir -p $(dirname apps/{APP}/{name}) && cat > apps/{APP}/{name}"
        argv = ["docker", "-H", self.node.docker_url, "exec", "-i", f"ws-u-{self.user}", "sh", "-c", quoted]
        subprocess.run(argv, input=text.encode(), check=True)

    def read(self, name: str) -> str:
        """A file of the app."""
        return (self.app / name).read_text()

    def inside(self, script: str) -> str:
        """What a shell in the container says."""
        argv = ["docker", "-H", self.node.docker_url, "exec", f"ws-u-{self.user}", "sh", "-c", script]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def elsewhere(self, **files: str) -> str:
        """Somebody else pushes these files, over what is there; answers the commit."""
        self.host.git("pull", "--quiet", "--no-rebase", self.host.url(), "main")
        commit = self.host.commit({name.replace("__", "."): text for name, text in files.items()})
        self.host.push("HEAD:refs/heads/main")
        return commit

    def pushed(self, name: str, revision: str = "main") -> str:
        """What the git server has of a file."""
        return self.bare("show", f"{revision}:{name}")

    def bare(self, *arguments: str) -> str:
        """Git in the server's repository."""
        folder = self.host.folder / "repositories" / f"{self.host.repository}.git"
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def programs(self) -> list[str]:
        """What runs in the container besides its first processes."""
        argv = ["docker", "-H", self.node.docker_url, "top", f"ws-u-{self.user}", "-o", "pid,args"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        lines = [line.split(None, 1)[1] for line in done.stdout.splitlines()[1:]]
        return [line for line in lines if "docker-init" not in line and "2147483647" not in line]

    def keys(self) -> list[str]:
        """Keys that are lent now, and folders of keys in the container."""
        loans = self.host.loans
        lent = [path.name for path in loans.iterdir()] if loans.exists() else []
        return lent + self.inside("ls -A /run | grep funai-git || true").split()


@contextmanager
def hosted(folder: Path) -> Iterator[tuple[str, GitHost]]:
    """A user, and the git server with a first commit in the repository of their app."""
    user = new_user()
    with git_host(folder, f"funai/u{user}-app{APP}") as host:
        host.commit({"README.md": "first\n", "page.html": "one\ntwo\nthree\n"})
        host.push("HEAD:refs/heads/main")
        yield user, host


@asynccontextmanager
async def world(
    docker_url: str, folder: Path, hosted_for: tuple[str, GitHost], **overrides: object
) -> AsyncIterator[World]:
    """A node beside it."""
    user, host = hosted_for
    known: dict[str, object] = {
        "FUNAI_WORKSPACE_IMAGE": IMAGE,
        "FUNAI_WORKSPACE_GIT_ENABLED": True,
        "FUNAI_WORKSPACE_GIT_SSH_HOST": "127.0.0.1",
        "FUNAI_WORKSPACE_GIT_SSH_PORT": host.port,
        "FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH": host.known_hosts,
        "FUNAI_WORKSPACE_GIT_LOANS_DIR": host.loans,
        "FUNAI_WORKSPACE_NPMREGISTRY": NPM_REGISTRY,
    }
    async with workspace_node.node(docker_url, folder, last=True, port=0, **{**known, **overrides}) as node:
        yield World(node, host, user)
