"""The API and the git server as two processes: a key that the API registered opens the repository at once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from protocol.api import AddGitKey
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import Transport
from tests.support import real

pytestmark = pytest.mark.real

TOKEN = "user-token-0123456789"
SECRETS = {
    "API_USER_TOKEN": TOKEN,
    "API_ADMIN_TOKEN": "admin-token-0123456789",
    "DEPLOY_PROXY_AUTH_SHARED_SECRET": "deploy-secret-0123456789",
}


@dataclass(frozen=True)
class Pair:
    """Both processes and the folder they share."""

    folder: Path
    api_port: int
    api: subprocess.Popen[bytes]
    environment: dict[str, str]

    def client(self) -> Transport:
        return Transport(f"http://127.0.0.1:{self.api_port}", bearer(TOKEN))

    def git(self, *argv: str, key: str) -> subprocess.CompletedProcess[str]:
        ssh = (
            f"ssh -F none -i {self.folder / key} -o IdentitiesOnly=yes -o BatchMode=yes "
            f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={self.folder / 'known_hosts'}"
        )
        environment = {**os.environ, "GIT_SSH_COMMAND": ssh, "GIT_TERMINAL_PROMPT": "0"}
        return subprocess.run(["git", *argv], env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    real.program("git", "git")
    real.program("ssh", "openssh-client")
    for name in ("user", "bot"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    api_port, git_port = real.free_port(), real.free_port()
    environment = {
        **os.environ,
        **SECRETS,
        "API_PORT": str(api_port),
        "API_DB_URL": f"sqlite:///{tmp_path}/api.db",
        "DEPLOY_PROXY_BASE_URL": f"http://127.0.0.1:{real.free_port()}",
        "DEPLOY_GIT_SSH_HOST": "127.0.0.1",
        "DEPLOY_GIT_SSH_PORT": str(git_port),
        "RUNNER_GIT_PUBLIC_KEY_PATH": f"{tmp_path}/bot.pub",
        "GIT_HOST": "127.0.0.1",
        "GIT_PORT": str(git_port),
        "GIT_DATA_DIR": f"{tmp_path}/repositories",
        "GIT_HOST_KEY_PATH": f"{tmp_path}/host_key",
        "GIT_ACCESS_FILE": f"{tmp_path}/access.json",
    }
    api = [sys.executable, "-m", "daemons.api"]
    git = [sys.executable, "-m", "daemons.git"]
    with (
        real.process(git, tmp_path / "git.log", env=environment),
        real.process(api, tmp_path / "api.log", env=environment) as child,
    ):
        real.wait_until(lambda: real.listening(api_port) and real.listening(git_port), "the start of both")
        yield Pair(tmp_path, api_port, child, environment)


async def test_registered_keys_open_ones_own_repository_at_once(pair: Pair) -> None:
    work = str(pair.folder / "work")
    public_key = (pair.folder / "user.pub").read_text()
    async with pair.client() as transport:
        api = ApiClient(transport)
        url = (await api.create_app()).repo_ssh_url
        assert pair.git("ls-remote", url, key="user").returncode != 0
        key = await api.add_key(AddGitKey(title="laptop", public_key=public_key))
        assert pair.git("clone", "-q", url, work, key="user").returncode == 0
        me = ["-C", work, "-c", "user.name=t", "-c", "user.email=t@example.org"]
        assert pair.git(*me, "commit", "-q", "--allow-empty", "-m", "first", key="user").returncode == 0
        assert pair.git("-C", work, "push", "-q", "origin", "HEAD:main", key="user").returncode == 0
        assert "refs/heads/main" in pair.git("ls-remote", url, key="bot").stdout
        assert pair.git("-C", work, "push", "-q", "origin", "HEAD:other", key="bot").returncode != 0
        await api.remove_key(key.id)
        assert pair.git("ls-remote", url, key="user").returncode != 0


def test_the_api_is_small_and_ends_cleanly(pair: Pair) -> None:
    assert psutil.Process(pair.api.pid).memory_info().rss < 120 * 1024 * 1024
    pair.api.send_signal(signal.SIGTERM)
    assert pair.api.wait(90) == 0


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("API_PORT", None, "api cannot listen on 127.0.0.1"),
        ("API_DB_URL", "postgres://x/y", "the database URL must be"),
        ("API_DB_URL", "sqlite:////no/such/folder/api.db", "does not exist"),
        ("API_USER_TOKEN", "CHANGE_ME_TO_SOMETHING_LONG", "API_USER_TOKEN still holds a placeholder"),
    ],
)
def test_what_must_be_mended_is_said_with_exit_78(pair: Pair, variable: str, value: str | None, said: str) -> None:
    mended = {"API_PORT": str(real.free_port()), "API_DB_URL": f"sqlite:///{pair.folder}/second.db"}
    environment = pair.environment | mended | {variable: value or str(pair.api_port)}
    run = subprocess.run(
        [sys.executable, "-m", "daemons.api"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 78, run.stderr
    assert said in run.stderr
    assert "CHANGE_ME_TO" not in run.stderr
