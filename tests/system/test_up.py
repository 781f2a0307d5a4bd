"""One command starts everything; nothing that is killed stays dead; what runs keeps running."""

import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from daemons.supervisor.domain.credentials import NAMES
from tests.support import node_image, python_image, real
from tests.support.domain_proofs import ProofsTwin, name_server_beside
from tests.support.platform import CHILDREN, ROOT, Up, children_are_back, free_base

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(600)]
#: A base image that nobody has.
NO_GO = "127.0.0.1:1/no/go:1"
#: What the platform's DNS says.
PROOFS = ProofsTwin()


@pytest.fixture(scope="module")
def up(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    real.program("haproxy", "haproxy")
    name = f"up-{secrets.token_hex(4)}"
    settings = {
        "RUNNER_NODE_IMAGE": f"{name}/node:1",
        "RUNNER_PYTHON_IMAGE": f"{name}/python:1",
        "RUNNER_GO_IMAGE": NO_GO,
    }
    real.busybox_image(docker_url)
    node_image.build(docker_url, f"{name}/node:1")
    python_image.with_pip(docker_url, f"{name}/python:1")
    with name_server_beside(PROOFS) as (address, port):
        settings["API_DNS_SERVERS"] = f"{address}:{port}"
        yield from _started(Up(tmp_path_factory.mktemp("up") / "data", free_base(), docker_url, settings=settings))


def _started(platform: Up) -> Iterator[Up]:
    platform.remove_containers()
    platform.start()
    docker_url, name = platform.docker_url, platform.settings["RUNNER_NODE_IMAGE"].partition("/")[0]
    try:
        yield platform
    finally:
        platform.stop()
        platform.remove_containers()
        argv = ["docker", "-H", docker_url, "rmi", "-f", f"{name}/node:1", f"{name}/python:1"]
        subprocess.run(argv, check=False, capture_output=True)


@contextmanager
def visiting(up: Up) -> Iterator[Counter[str]]:
    """Somebody looks at the demo page all the time; counts what they saw."""
    seen: Counter[str] = Counter()
    done = threading.Event()

    def look() -> None:
        with httpx.Client(timeout=5, trust_env=False, verify=False) as client:
            while not done.wait(0.01):
                try:
                    seen[str(client.get(up.page).status_code)] += 1
                except httpx.HTTPError as error:
                    seen[type(error).__name__] += 1

    visitor = threading.Thread(target=look)
    visitor.start()
    try:
        yield seen
    finally:
        done.set()
        visitor.join()


def jobs(up: Up) -> int:
    secrets = credentials(up)
    answer = httpx.get(
        f"{up.ready['deploy']}/deploy/jobs?limit=100",
        headers={"X-Admin-Token": secrets["DEPLOY_ADMIN_TOKEN"]},
        trust_env=False,
        verify=False,
    )
    return len(answer.json()["data"])


def credentials(up: Up) -> dict[str, str]:
    lines = Path(up.ready["credentials"]).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def test_the_ready_line_leads_to_everything(up: Up) -> None:
    assert up.ready["ready"] is True
    assert up.ready["demoApp"] == "20001"
    assert up.ready["git"] == f"ssh://git@127.0.0.1:{up.base + 4}"
    for name in ("deploy", "api", "agent"):
        assert httpx.get(f"{up.ready[name]}/internal/ready", trust_env=False, verify=False).status_code == 200
    assert "<title>Fun AI Studio demo</title>" in httpx.get(up.page, trust_env=False, verify=False).text


def test_the_whole_path_holds(up: Up) -> None:
    argv = [sys.executable, "-m", "console", "smoke", "--output", "json"]
    result = subprocess.run(argv, cwd=ROOT, env=up.environment, capture_output=True, text=True, check=False)
    if result.returncode:
        pytest.fail(f"{result.stdout}\n{result.stderr}\n{up.said[-6000:]}")
    report = json.loads(result.stdout)
    assert report["ok"] is True
    assert len(report["steps"]) == 11
    assert {"template static", "template node", "template python"} < {step["name"] for step in report["steps"]}
    assert [step["name"] for step in report["skipped"]] == ["template go"]
    assert NO_GO in report["skipped"][0]["why"]


def test_the_gateway_is_the_one_address_of_everything(up: Up) -> None:
    gateway = up.ready["gateway"]
    assert (
        httpx.get(f"{gateway}/api/fun-ai/app/list", params={"userId": "1"}, timeout=60, trust_env=False).status_code
        == 401
    )
    page = httpx.get(f"{gateway}/deploy-nodes.html", timeout=60, trust_env=False, follow_redirects=True)
    assert str(page.url) == f"{gateway}/admin/nodes-admin.html?mode=deploy" and "nodes-assets/main.js" in page.text
    proof = {"X-Admin-Token": credentials(up)["API_ADMIN_TOKEN"]}
    nodes = httpx.get(f"{gateway}/api/fun-ai/admin/deploy-nodes/list", headers=proof, timeout=60, trust_env=False)
    assert [node["health"] for node in nodes.json()["data"]] == ["HEALTHY"]
    closed = httpx.get(f"{gateway}/api/fun-ai/workspace/internal/gateway/node?appId=1", timeout=60, trust_env=False)
    assert (closed.status_code, closed.json()["reason"]) == (404, "app_closed")
    assert httpx.get(f"{gateway}/gateway/health", timeout=60, trust_env=False).text == "ok"


def test_the_api_was_told_how_the_first_deployment_ended(up: Up) -> None:
    """By the control plane, and not because somebody asked."""

    def told() -> bool:
        with closing(sqlite3.connect(f"file:{up.folder / 'api.db'}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT status FROM fun_ai_app_result WHERE app_id = 20001").fetchall()
        return rows == [("SUCCEEDED",)]

    real.wait_until(told, "the result of the demo's deployment at the API")


def test_a_host_of_an_apps_own_leads_to_it_once_it_is_proven(up: Up) -> None:
    api, host = f"{up.ready['api']}/api/fun-ai/app/domains", "www.shop.example"
    headers = {"Authorization": f"Bearer {credentials(up)['API_USER_TOKEN']}"}
    order = {"appId": "20001", "host": host}

    def shown() -> int:
        visit = {"Host": host, "Accept": "text/html"}
        answer = httpx.get(f"{up.ready['gateway']}/", headers=visit, timeout=60, trust_env=False, verify=False)
        return answer.status_code if "<title>Fun AI Studio demo</title>" in answer.text else 0

    with httpx.Client(headers=headers, timeout=60, trust_env=False, verify=False) as client:
        claim = client.post(api, json=order).json()["data"]
        assert client.post(f"{api}/verify", json=order).status_code == 409 and shown() == 0
        PROOFS.records[claim["recordName"]] = [claim["recordValue"]]
        assert client.post(f"{api}/verify", json=order).json()["data"]["verified"] is True
        real.wait_until(lambda: shown() == 200, "the app at its own host")
        assert client.delete(api, params=order).status_code == 200
    real.wait_until(lambda: shown() == 0, "the end of the host")
    said = up.said
    assert f"1 hosts (+{host}); the gateway reads them" in said and f"0 hosts (-{host})" in said


def test_a_push_is_live_soon_when_its_owner_wants_it(up: Up) -> None:
    api = f"{up.ready['api']}/api/fun-ai/app"
    headers = {"Authorization": f"Bearer {credentials(up)['API_USER_TOKEN']}"}
    with httpx.Client(headers=headers, timeout=60, trust_env=False, verify=False) as client:
        assert client.get(f"{api}/info?appId=20001").json()["data"]["repoStatus"] == "READY"
        before = len(up.containers())
        order = {"appId": "20001", "enabled": True}
        assert client.post(f"{api}/push-to-deploy", json=order).json()["data"]["branches"] == ["main"]
        commit = _push_a_change(up, "pushed, and nothing else")
        real.wait_until(lambda: "pushed, and nothing else" in _page(up), "the pushed page")
        push = client.get(f"{api}/push-to-deploy?appId=20001").json()["data"]["lastPush"]
        assert (push["commit"], push["reason"]) == (commit, None) and push["jobId"]
        client.post(f"{api}/push-to-deploy", json=order | {"enabled": False})
    real.wait_until(lambda: len(up.containers()) == before, "the end of the version before")


def _page(up: Up) -> str:
    return httpx.get(up.page, timeout=60, trust_env=False, verify=False).text


def _push_a_change(up: Up, words: str) -> str:
    """As the demo user would, from the working copy that the demo was pushed from; answers the commit."""
    copy, keys = up.folder / "demo" / "20001", up.folder / "keys"
    page = copy / "index.html"
    page.write_text(f"{page.read_text()}<!-- {words} -->\n")
    ssh = (
        f"ssh -F none -i {keys / 'demo_user_ed25519'} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes "
        f"-o UserKnownHostsFile={keys / 'known_hosts'}"
    )
    git = ["git", "-C", str(copy), "-c", "user.name=u", "-c", "user.email=u@example.org"]
    url = f"{up.ready['git']}/funai/u1-app20001.git"
    for line in (["commit", "-q", "-a", "-m", words], ["push", "-q", url, "HEAD:refs/heads/main"]):
        environment = {**os.environ, "GIT_SSH_COMMAND": ssh}
        subprocess.run([*git, *line], env=environment, check=True, capture_output=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_secrets_are_private(up: Up) -> None:
    secrets = [value for name, value in credentials(up).items() if "TOKEN" in name or "SECRET" in name]
    assert len(secrets) == len(NAMES)
    assert Path(up.ready["credentials"]).stat().st_mode & 0o777 == 0o600
    assert (up.folder / "platform.json").stat().st_mode & 0o777 == 0o600
    told = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    told += [path.read_text("utf-8", "replace") for path in (up.folder / "logs").iterdir()]
    told += [up.said, json.dumps(up.ready), (up.folder / "platform.json").read_text()]
    assert [text[:200] for text in told if any(secret in text for secret in secrets)] == []


@pytest.mark.parametrize("name", CHILDREN)
def test_any_child_may_be_killed(up: Up, name: str) -> None:
    real.wait_until(up.answers, "the demo page before the kill")
    killed = up.child(name)
    assert killed is not None
    with visiting(up) as seen:
        os.kill(killed, signal.SIGKILL)
        children_are_back(up, name, killed)
        real.wait_until(up.answers, "the demo page after the kill")
    if name != "gateway":  # nobody can serve while the one who serves is being started again
        assert set(seen) <= {"200"}, seen


def test_a_taken_port_is_named(up: Up, tmp_path: Path) -> None:
    environment = {**up.environment, "FUNAI_DATA_DIR": str(tmp_path / "other")}
    result = subprocess.run(up.argv(), env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 78
    assert f"127.0.0.1:{up.base + 2} (for deploy)" in result.stderr
    assert result.stdout == ""


def test_a_folder_belongs_to_one_platform(up: Up) -> None:
    argv = [str(ROOT / "bin" / "up"), "--headless", "--port-base", str(free_base())]
    result = subprocess.run(argv, env=up.environment, capture_output=True, text=True, check=False)
    assert result.returncode == 78
    assert f"already running from {up.folder} (process {up.pid})" in result.stderr


def test_apps_outlive_the_platform_and_the_next_start_finds_them(up: Up) -> None:
    before, containers = jobs(up), up.containers()
    port = re.search(r":(\d+)->3000", docker_ps(up, containers[0]))
    assert port is not None
    assert up.stop() == 0
    assert not [name for name in CHILDREN if f"{name} did not stop" in up.said]
    assert up.containers() == containers
    assert httpx.get(f"http://127.0.0.1:{port[1]}/", trust_env=False, verify=False).status_code == 200
    up.start()
    assert up.ready["demoApp"] == "20001"
    assert up.answers()
    assert (jobs(up), up.containers()) == (before, containers)


def test_a_killed_supervisor_leaves_no_children_and_the_next_start_works(up: Up) -> None:
    real.wait_until(lambda: all(up.child(name) for name in CHILDREN), "all children")
    children = [up.child(name) for name in CHILDREN]
    os.kill(up.pid, signal.SIGKILL)
    up.stop()
    real.wait_until(lambda: not any(pid and psutil.pid_exists(pid) for pid in children), "the children's end")
    up.start()
    assert up.answers()


def docker_ps(up: Up, container: str) -> str:
    argv = ["docker", "-H", up.docker_url, "ps", "--filter", f"id={container}", "--format", "{{.Ports}}"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
