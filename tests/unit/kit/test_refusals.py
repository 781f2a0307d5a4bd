"""Every daemon, as a process, refuses a secret that protects nothing and says what to set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECRETS = {
    "deploy": (
        "DEPLOY_ADMIN_TOKEN",
        "DEPLOY_PROXY_AUTH_SHARED_SECRET",
        "DEPLOY_RUNNER_TOKEN",
        "DEPLOY_NODE_TOKEN",
        "RUNTIME_AGENT_TOKEN",
    ),
    "runner": ("DEPLOY_RUNNER_TOKEN", "RUNTIME_AGENT_TOKEN"),
    "agent": ("RUNTIME_AGENT_TOKEN", "DEPLOY_NODE_TOKEN"),
    "api": ("API_ADMIN_TOKEN", "API_USER_TOKEN", "DEPLOY_PROXY_AUTH_SHARED_SECRET"),
}
#: Roles that a daemon can do without: it then does not call, or serves nobody of that kind.
MAY_BE_EMPTY = {("deploy", "RUNTIME_AGENT_TOKEN"), ("agent", "DEPLOY_NODE_TOKEN")}
BAD = ("", "short-one", "CHANGE_ME_STRONG_SECRET_OF_LENGTH")


def start(daemon: str, folder: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    good = {name: f"{name.lower()}-of-the-tests" for name in SECRETS[daemon]}
    argv = (sys.executable, "-m", f"daemons.{daemon}")
    env = {**kept, "PYTHONPATH": str(ROOT), **good, **changes}
    return subprocess.run(argv, env=env, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("daemon", SECRETS)
def test_each_bad_secret_is_refused_by_its_name(daemon: str, tmp_path: Path) -> None:
    """One start per kind of bad value: all variables hold it at once, and each has a line of its own."""
    for value in BAD:
        done = start(daemon, tmp_path, **dict.fromkeys(SECRETS[daemon], value))
        assert done.returncode == 78, (value, done.stderr)
        for name in SECRETS[daemon]:
            assert name in done.stderr or (not value and (daemon, name) in MAY_BE_EMPTY), (value, name, done.stderr)
        assert not value or value not in done.stderr
        assert "at least 16" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("daemon", SECRETS)
def test_the_same_holds_for_the_file(daemon: str, tmp_path: Path) -> None:
    """A key of the file is the same as the variable, also one that has two names."""
    name = SECRETS[daemon][-1 if daemon == "api" else 0]
    file = tmp_path / "platform.toml"
    file.write_text(f'{name.lower()} = "CHANGE_ME"\n')
    kept = {other: f"{other.lower()}-of-the-tests" for other in SECRETS[daemon] if other != name}
    env = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    done = subprocess.run(
        (sys.executable, "-m", f"daemons.{daemon}"),
        env={**env, **kept, "PYTHONPATH": str(ROOT), "FUNAI_CONFIG": str(file)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 78 and f"{name} still holds a placeholder" in done.stderr, done.stderr
