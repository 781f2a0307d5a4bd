"""An operator at the console of a real platform: a commit goes live, a build is cancelled, a release comes back, a node
is emptied, the control plane goes and comes."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.http.deploy.plane import TOKENS
from tests.support import real, runtime_node
from tests.support.console_terminal import Terminal
from tests.support.git_host import GitHost, git_host
from tests.support.runtime_node import RuntimeNode
from tests.support.whole_path import REPOSITORY, Runner, page
from tests.system.test_drain import new_database, node
from tests.system.test_operations import ControlPlane, control_plane

pytestmark = [pytest.mark.real, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
_RUN = secrets.token_hex(3)
_APP = f"shop-{_RUN}"
_LONG = 90


class Platform:
    """A control plane on MariaDB, two nodes, one runner, a git server, and a console that may change things."""

    def __init__(self, plane: ControlPlane, nodes: tuple[RuntimeNode, RuntimeNode], git: GitHost) -> None:
        self.plane = plane
        self.near, self.far = nodes
        self.git = git

    def push(self, app_id: str, files: dict[str, str]) -> None:
        """A new commit on the app's branch."""
        self.git.commit(files)
        self.git.push(f"HEAD:refs/heads/{app_id}")

    def order(self, app_id: str, files: dict[str, str]) -> None:
        """A user publishes."""
        self.push(app_id, files)
        payload = {"userId": 7, "appId": app_id, "repoSshUrl": self.git.url(), "gitRef": app_id}
        self.plane.call("api", "POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload})

    def answer(self) -> str | None:
        """What the app's page says, whichever node has it."""
        for each in (self.near, self.far):
            try:
                found = httpx.get(f"{each.gateway_url}/runtime/{_APP}/", timeout=5, trust_env=False, verify=False)
            except httpx.HTTPError:
                continue
            if found.is_success:
                return found.text.strip()
        return None

    def home(self) -> RuntimeNode:
        """The node that has the app's container."""
        return self.near if self.near.containers(_APP) else self.far


def runner_of(plane: ControlPlane, folder: Path, engine: str, git: GitHost) -> Runner:
    settings = {
        "PATH": os.environ["PATH"],
        "DEPLOY_BASE_URL": plane.url,
        "DEPLOY_RUNNER_TOKEN": TOKENS["runner"],
        "RUNTIME_AGENT_TOKEN": runtime_node.TOKEN,
        "DOCKER_HOST": engine,
        "GIT_SSH_KEY_PATH": str(git.bot_key),
        "GIT_KNOWN_HOSTS_PATH": str(git.known_hosts),
        "JOB_LEASE_SECONDS": "6",
        "POLL_SECONDS": "0.2",
        "ACR_NAMESPACE": f"console-{_RUN}",
    }
    return Runner(folder, f"runner-{_RUN}", settings)


def remove_images(engine: str) -> None:
    found = runtime_node.docker(engine, "images", "--format={{.Repository}}:{{.Tag}}").split()
    for reference in (each for each in found if f"console-{_RUN}/" in each):
        subprocess.run(["docker", "-H", engine, "rmi", "-f", reference], check=False, capture_output=True)


@pytest.fixture
def platform(tmp_path: Path, mariadb_url: str, docker_url: str) -> Iterator[Platform]:
    real.busybox_image(docker_url)
    with ExitStack() as stack:
        database = stack.enter_context(new_database(mariadb_url, f"console_{_RUN}"))
        (tmp_path / "git").mkdir()
        git = stack.enter_context(git_host(tmp_path / "git", REPOSITORY))
        stack.callback(remove_images, docker_url)
        plane = stack.enter_context(control_plane(tmp_path, database))
        nodes = tuple(
            stack.enter_context(node(plane, tmp_path, docker_url, name, ports))
            for name, ports in (("near", "31500-31599"), ("far", "31600-31699"))
        )
        runner = runner_of(plane, tmp_path, docker_url, git)
        stack.callback(runner.close)
        runner.start()
        yield Platform(plane, (nodes[0], nodes[1]), git)


@pytest.fixture
def terminal(platform: Platform, real_parts: Path, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(real_parts / f"platform-{_RUN}.sock", 120, 40)
    folder = tmp_path / "console"
    folder.mkdir()
    (folder / "platform.json").write_text(json.dumps({"deploy": platform.plane.url}))
    credentials = folder / "credentials.env"
    credentials.write_text(f"DEPLOY_ADMIN_TOKEN={TOKENS['admin']}\n")
    credentials.chmod(0o600)
    environ = {"FUNAI_DATA_DIR": str(folder), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environ |= {"LANG": "C.UTF-8", "TERM": "xterm-256color"}
    terminal.start([sys.executable, "-m", "console"], environ)
    try:
        yield terminal
    finally:
        terminal.stop()


def deploy(platform: Platform, terminal: Terminal, files: dict[str, str], *, first: bool = False) -> None:
    """Push, and order it in the form, which knows what was ordered before."""
    branch = f"of-{_APP}"
    platform.push(branch, files)
    terminal.press("n")
    terminal.until("Deploy an app")
    if first:
        for number, text in enumerate((_APP, "4711", platform.git.url(), branch)):
            if number:
                terminal.next_field()
            terminal.fill(text)
    else:
        terminal.fill(branch)
    terminal.press("Enter")
    terminal.waits(lambda: "Deploy an app" not in terminal.shown(), "the form's end")


def select(terminal: Terminal, words: str) -> None:
    """The first row that has these words; the filter leaves the cursor on its object, also on one that it hides."""
    terminal.press("/")
    terminal.type(words)
    terminal.until(f"/ {words}")
    terminal.press("Enter")
    # Before that the filter has the keys, and takes the next one for a part of it.
    terminal.until("n Deploy")

    def chosen() -> bool:
        if any("▸" in line and words in line for line in terminal.shown().splitlines()):
            return True
        terminal.press("Home")
        return False

    terminal.waits(chosen, f"the cursor on {words}", apart=0.5)


@pytest.mark.timeout(1800)
def test_a_day_at_the_console(platform: Platform, terminal: Terminal) -> None:
    terminal.until("● live")
    terminal.press("1")
    _a_commit_goes_live(platform, terminal)
    _a_build_is_cancelled(platform, terminal)
    _an_earlier_release_comes_back(platform, terminal)
    _a_node_is_emptied(platform, terminal)
    _the_control_plane_goes_and_comes(platform, terminal)
    terminal.press("q")
    terminal.waits(terminal.ended, "the console's end")
    assert "Traceback" not in terminal.shown()


def _a_commit_goes_live(platform: Platform, terminal: Terminal) -> None:
    for version in ("v1", "v2"):
        deploy(platform, terminal, page(version, "RUN sleep 2"), first=version == "v1")
        terminal.until("BUILD")
        terminal.waits(lambda wanted=version: platform.answer() == wanted, f"{version}", _LONG)  # type: ignore[misc]
        terminal.waits(lambda: "▶ RUNNING" not in terminal.shown(), "the end of the job on the screen")
        assert "✓ SUCCEEDED" in terminal.shown()


def _a_build_is_cancelled(platform: Platform, terminal: Terminal) -> None:
    platform.order(f"slow-{_RUN}", page("never", "RUN sleep 600"))
    terminal.until("BUILD")
    select(terminal, f"slow-{_RUN}")
    terminal.press("c")
    terminal.answer("Keep it", "y")
    terminal.until("CANCELLED")
    terminal.press("Escape")
    terminal.until(_APP)  # Escape and a key right after it would be one key with Alt
    assert platform.answer() == "v2"


def _an_earlier_release_comes_back(platform: Platform, terminal: Terminal) -> None:
    terminal.press("3")
    terminal.until(_APP)
    terminal.press("b")
    terminal.until("release 1")
    terminal.press("Enter")
    terminal.answer("Roll back app", "y")
    terminal.waits(lambda: platform.answer() == "v1", "the earlier release", _LONG)


def _a_node_is_emptied(platform: Platform, terminal: Terminal) -> None:
    before = platform.home()
    after = platform.far if before is platform.near else platform.near
    terminal.press("2")
    terminal.until("FREE DISK")
    select(terminal, "near" if before is platform.near else "far")
    terminal.press("d")
    assert after.name in terminal.until("Drain node"), "the plan says where the app goes"
    terminal.answer("Drain node", "y")
    terminal.waits(lambda: after.containers(_APP) != [] and before.containers(_APP) == [], "the move", _LONG)
    assert platform.answer() == "v1"
    terminal.press("7")
    terminal.until("1/1")


def _the_control_plane_goes_and_comes(platform: Platform, terminal: Terminal) -> None:
    terminal.press("1")
    platform.plane.kill()
    terminal.until("reconnecting")
    terminal.until("STALE")
    terminal.press("c", "n")
    assert "Deploy an app" not in terminal.shown() and not terminal.ended()
    platform.plane.start()
    terminal.until("● live")
    select(terminal, _APP)
    deploy(platform, terminal, page("v3"))
    terminal.waits(lambda: platform.answer() == "v3", "v3", _LONG)
    terminal.waits(lambda: "▶ RUNNING" not in terminal.shown(), "the end of the job on the screen")
