"""The whole path as real processes: control plane, agent, gateway and runners over a real engine and git server."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support import real, runtime_node
from tests.support.git_host import GitHost
from tests.support.runtime_node import NODE_TOKEN, TOKEN, RuntimeNode

REPOSITORY = "funai/u7-app1"
SECRETS = {
    "DEPLOY_ADMIN_TOKEN": "admin-token-of-tests",
    "DEPLOY_PROXY_AUTH_SHARED_SECRET": "proxy-secret-of-tests",
    "DEPLOY_RUNNER_TOKEN": "runner-token-of-tests",
    "DEPLOY_NODE_TOKEN": NODE_TOKEN,
    "RUNTIME_AGENT_TOKEN": TOKEN,
}
#: The shortest that a runner accepts.
LEASE_SECONDS = 5
_ROOT = Path(__file__).resolve().parents[2]
_PORTS = "31000-31499"


def page(text: str, before: str = "") -> dict[str, str]:
    """The files of an app that serves one page; `before` are instructions of its Dockerfile."""
    serve = 'CMD ["httpd","-f","-p","3000","-h","/www"]'
    made = f"RUN mkdir -p /www && echo {text} > /www/index.html"
    return {"Dockerfile": f"FROM busybox:1.36\n{before}\n{made}\n{serve}\n"}


class Runner:
    """One runner process; started again it is the same runner in the same folder."""

    def __init__(self, folder: Path, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.work = Path(environment.get("RUNNER_WORKDIR", folder / name))
        self.port = real.free_port()
        self._log = folder / f"{name}.log"
        self._environment = {
            **environment,
            "RUNNER_ID": name,
            "RUNNER_PORT": str(self.port),
            "RUNNER_WORKDIR": str(self.work),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it listens."""
        argv = [sys.executable, "-m", "daemons.runner"]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(argv, stdout=output, stderr=output, env=self._environment, cwd=_ROOT)
        real.wait_until(lambda: real.listening(self.port), f"the start of {self.name}")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a crash would; waits until it is gone."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def close(self) -> None:
        """Stop it, whatever state it is in."""
        if self._process is None or self._process.poll() is not None:
            return
        for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGTERM):
            self.signal(number)
        try:
            self._process.wait(90)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        """Of the present process."""
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """Its log so far."""
        return self._log.read_text("utf-8", "replace")

    def folders(self) -> list[str]:
        """Work folders of attempts."""
        return [path.parent.name for path in self.work.glob("*/.attempt")]

    def tools(self) -> list[str]:
        """Command lines of processes that work in its folder."""
        found: list[str] = []
        for process in psutil.process_iter(["cwd", "cmdline"]):
            if str(process.info["cwd"] or "").startswith(str(self.work)):
                found.append(" ".join(process.info["cmdline"] or ()))
        return found


@dataclass
class WholePath:
    """A control plane with one node, and what is needed to start runners beside it."""

    folder: Path
    engine: str
    git: GitHost
    deploy_url: str
    node: RuntimeNode
    namespace: str

    def call(self, method: str, path: str, body: object = None, *, secret: str = "DEPLOY-SECRET") -> Any:
        """`data` of an answer of the control plane, as the API (or with X-Admin-Token an operator) gets it."""
        names = {"DEPLOY-SECRET": "DEPLOY_PROXY_AUTH_SHARED_SECRET", "Admin-Token": "DEPLOY_ADMIN_TOKEN"}
        headers = {f"X-{secret}": SECRETS[names[secret]]}
        answer = httpx.request(
            method, f"{self.deploy_url}{path}", json=body, headers=headers, trust_env=False, verify=False
        )
        assert answer.is_success, answer.text
        return answer.json()["data"]

    def push(self, branch: str, files: Mapping[str, str]) -> str:
        """A new commit on a branch."""
        commit = self.git.commit(files)
        self.git.push(f"HEAD:refs/heads/{branch}")
        return commit

    def create(self, app_id: str, *, requires: object = (), **payload: object) -> str:
        """The id of a new job of user 7, from the repository unless the payload names an image."""
        source = {} if "image" in payload else {"repoSshUrl": self.git.url(), "gitRef": f"app-{app_id}"}
        order = {"userId": 7, "appId": app_id, **source, **payload}
        job = self.call("POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": order, "requires": requires})
        return str(job["id"])

    def publish(self, app_id: str, files: Mapping[str, str], **payload: object) -> str:
        """Push and create a job."""
        self.push(f"app-{app_id}", files)
        return self.create(app_id, **payload)

    def job(self, job_id: str) -> dict[str, Any]:
        """`GET /deploy/jobs/{id}`."""
        found: dict[str, Any] = self.call("GET", f"/deploy/jobs/{job_id}")
        return found

    def log(self, job_id: str) -> str:
        """The job's log as it stands."""
        headers = {"X-DEPLOY-SECRET": SECRETS["DEPLOY_PROXY_AUTH_SHARED_SECRET"]}
        return httpx.get(
            f"{self.deploy_url}/deploy/jobs/{job_id}/log", headers=headers, trust_env=False, verify=False
        ).text

    def ended(self, job_id: str, seconds: float = 120) -> dict[str, Any]:
        """The job, once it is over."""
        over = ("SUCCEEDED", "FAILED", "CANCELLED")
        real.wait_until(lambda: self.job(job_id)["status"] in over, f"the end of job {job_id}", seconds)
        return self.job(job_id)

    def succeeded(self, job_id: str, seconds: float = 120) -> dict[str, Any]:
        """The job, once it succeeded."""
        job = self.ended(job_id, seconds)
        assert job["status"] == "SUCCEEDED", job["errorMessage"]
        return job

    def history(self, job_id: str) -> list[tuple[str, str]]:
        """Every change of the job and who made it, phases left out, up to now."""
        until = int(self.call("GET", "/admin/snapshot", secret="Admin-Token")["seq"])
        told: list[tuple[str, str]] = []
        headers = {"X-Admin-Token": SECRETS["DEPLOY_ADMIN_TOKEN"], "Last-Event-ID": "0"}
        with httpx.stream(
            "GET", f"{self.deploy_url}/admin/events", headers=headers, trust_env=False, verify=False
        ) as answer:
            for line in answer.iter_lines():
                event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                seq = event.get("seq") or 0
                if event.get("kind") == "job" and event["job"]["id"] == job_id and event["change"] != "phase":
                    told.append((event["change"], event["actor"]))
                if seq >= until:
                    break
        return told

    def builds(self, mark: str) -> bool:
        """Whether a container of the engine runs a command with that mark."""
        return mark in runtime_node.docker(self.engine, "ps", "--no-trunc", "--format", "{{.Command}}")

    def runner(self, name: str, **environment: str) -> Runner:
        """A runner that is not started yet."""
        settings = {
            "PATH": os.environ["PATH"],
            "DEPLOY_BASE_URL": self.deploy_url,
            "DEPLOY_RUNNER_TOKEN": SECRETS["DEPLOY_RUNNER_TOKEN"],
            "RUNTIME_AGENT_TOKEN": TOKEN,
            "DOCKER_HOST": self.engine,
            "GIT_SSH_KEY_PATH": str(self.git.bot_key),
            "GIT_KNOWN_HOSTS_PATH": str(self.git.known_hosts),
            "JOB_LEASE_SECONDS": str(LEASE_SECONDS),
            "POLL_SECONDS": "0.2",
            "ACR_NAMESPACE": self.namespace,
            **environment,
        }
        return Runner(self.folder, name, settings)

    @contextmanager
    def running(self, name: str, **environment: str) -> Iterator[Runner]:
        """A runner for the duration of the block."""
        runner = self.runner(name, **environment)
        try:
            runner.start()
            yield runner
        finally:
            runner.close()

    @contextmanager
    def visited(self, path: str) -> Iterator[Counter[str]]:
        """Somebody asks for a page all the time; counts bodies, and failures under their status or name."""
        seen: Counter[str] = Counter()
        done = threading.Event()

        def look() -> None:
            with httpx.Client(base_url=self.node.gateway_url, timeout=5, trust_env=False, verify=False) as client:
                while not done.wait(0.01):
                    try:
                        answer = client.get(path)
                        seen[answer.text.strip() if answer.is_success else f"HTTP {answer.status_code}"] += 1
                    except httpx.HTTPError as error:
                        seen[type(error).__name__] += 1

        visitor = threading.Thread(target=look)
        visitor.start()
        try:
            yield seen
        finally:
            done.set()
            visitor.join()


@contextmanager
def whole_path(
    folder: Path,
    engine: str,
    git: GitHost,
    name: str,
    *,
    deploy: Mapping[str, str] | None = None,
    agent: Mapping[str, str] | None = None,
) -> Iterator[WholePath]:
    """Control plane, agent and gateway; `name` is the node's and the namespace of what is built."""
    folder.mkdir(parents=True, exist_ok=True)
    port = real.free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        **SECRETS,
        "DEPLOY_PORT": str(port),
        "DEPLOY_DB_URL": f"sqlite:///{folder}/deploy.db",
        **(deploy or {}),
    }
    with ExitStack() as stack:
        stack.callback(_remove_images, engine, name)
        argv = [sys.executable, "-m", "daemons.deploy"]
        stack.enter_context(real.process(argv, folder / "deploy.log", env=environment, cwd=_ROOT))
        real.wait_until(lambda: real.listening(port), "the control plane's start")
        settings = {
            "DEPLOY_BASE_URL": url,
            "DEPLOY_NODE_TOKEN": NODE_TOKEN,
            "DEPLOY_HEARTBEAT_SECONDS": "1",
            "RUNTIME_APP_PORTS": _PORTS,
            "RUNTIME_START_SECONDS": "3",
            "RUNTIME_DRAIN_SECONDS": "2",
            "RUNTIME_WATCH_SECONDS": "0",
            **(agent or {}),
        }
        node = stack.enter_context(runtime_node.node(folder / "n", engine, name, **settings))
        yield WholePath(folder, engine, git, url, node, name)


def _remove_images(engine: str, namespace: str) -> None:
    lines = runtime_node.docker(engine, "images", "--format={{.Repository}} {{.ID}}").splitlines()
    for line in lines:
        repository, _, image = line.partition(" ")
        if f"{namespace}/" in repository:
            argv = ["docker", "-H", engine, "rmi", "-f", image]
            subprocess.run(argv, check=False, capture_output=True)
