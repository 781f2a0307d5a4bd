"""Git server, API and control plane as processes, each of which may be killed and started again; and a user who
pushes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from protocol.api import AddGitKey, AppInfo
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Transport
from tests.support import real

TOKEN = "user-token-0123456789"
SECRETS = {
    "API_USER_TOKEN": TOKEN,
    "API_ADMIN_TOKEN": "admin-token-0123456789",
    "DEPLOY_ADMIN_TOKEN": "deploy-admin-token-0123456789",
    "DEPLOY_PROXY_AUTH_SHARED_SECRET": "deploy-secret-0123456789",
    "DEPLOY_RUNNER_TOKEN": "runner-token-0123456789",
    "DEPLOY_NODE_TOKEN": "node-token-0123456789",
    "RUNTIME_AGENT_TOKEN": "agent-token-0123456789",
    "GIT_WEBHOOK_SECRET": "git-webhook-secret-0123456789",
}
_IDENTITY = ("-c", "user.name=u", "-c", "user.email=u@example.org")


@dataclass
class Pushing:
    """The three and the folder that they share."""

    folder: Path
    ports: Mapping[str, int]
    environment: Mapping[str, str]
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, *names: str) -> None:
        """Until they listen."""
        for name in names:
            with (self.folder / f"{name}.log").open("ab") as log:
                argv = [sys.executable, "-m", f"daemons.{name}"]
                self._running[name] = subprocess.Popen(argv, env=dict(self.environment), stdout=log, stderr=log)
        for name in names:
            real.wait_until(lambda name=name: real.listening(self.ports[name]), f"the start of {name}")  # type: ignore[misc]

    def kill(self, *names: str) -> None:
        """As a crash would."""
        for name in names:
            child = self._running.pop(name)
            child.kill()
            child.wait()

    def close(self) -> None:
        """End those that run."""
        for child in self._running.values():
            child.terminate()
        for child in self._running.values():
            child.wait(90)

    def client(self) -> Transport:
        """The user's way to the API."""
        return Transport(f"http://127.0.0.1:{self.ports['api']}", bearer(TOKEN))

    def git(self, *argv: str) -> str:
        """Run git as the user, in a working copy."""
        ssh = (
            f"ssh -F none -i {self.folder / 'user'} -o IdentitiesOnly=yes -o BatchMode=yes "
            f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={self.folder / 'known_hosts'}"
        )
        environment = {**os.environ, "GIT_SSH_COMMAND": ssh, "GIT_TERMINAL_PROMPT": "0"}
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        line = ["git", "-C", str(work), *_IDENTITY, *argv]
        done = subprocess.run(line, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    async def app(self) -> AppInfo:
        """A new app of the user, whose key is known; the working copy is empty."""
        async with self.client() as transport:
            api = ApiClient(transport)
            await api.add_key(AddGitKey(title="laptop", public_key=(self.folder / "user.pub").read_text()))
            app = await api.create_app()
        self.git("init", "-q", "--initial-branch=main")
        self.git("remote", "add", "origin", app.repo_ssh_url)
        return app

    def commit(self) -> str:
        """A new commit in the working copy."""
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def push(self, refs: str = "HEAD:main") -> None:
        """Over SSH."""
        self.git("push", "-q", "--force", "origin", refs)


@contextmanager
def pushing(folder: Path) -> Iterator[Pushing]:
    """All three, for the duration of the block."""
    real.program("git", "git")
    real.program("ssh", "openssh-client")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "user")], check=True)
    ports = {name: real.free_port() for name in ("deploy", "git", "api")}
    environment = {
        **os.environ,
        **SECRETS,
        "DEPLOY_HOST": "127.0.0.1",
        "DEPLOY_PORT": str(ports["deploy"]),
        "DEPLOY_DB_URL": f"sqlite:///{folder}/deploy.db",
        "API_PORT": str(ports["api"]),
        "API_DB_URL": f"sqlite:///{folder}/api.db",
        "DEPLOY_PROXY_BASE_URL": f"http://127.0.0.1:{ports['deploy']}",
        "DEPLOY_GIT_SSH_HOST": "127.0.0.1",
        "DEPLOY_GIT_SSH_PORT": str(ports["git"]),
        "GIT_HOST": "127.0.0.1",
        "GIT_PORT": str(ports["git"]),
        "GIT_DATA_DIR": f"{folder}/repositories",
        "GIT_HOST_KEY_PATH": f"{folder}/host_key",
        "GIT_ACCESS_FILE": f"{folder}/access.json",
        "GIT_CREATIONS_DIR": f"{folder}/creations",
        "GIT_REMOVALS_DIR": f"{folder}/removals",
        "GIT_PUSHES_DIR": f"{folder}/pushes",
        "GIT_WEBHOOK_URL": f"http://127.0.0.1:{ports['api']}/api/fun-ai/webhooks/git",
    }
    found = Pushing(folder, ports, environment)
    try:
        found.start("deploy", "git", "api")
        yield found
    finally:
        found.close()
