"""A real runtime node for tests: the agent and HAProxy as processes of their own, over the real engine."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from daemons.kit.gateway import Gateway, command, install
from tests.support import engines, real
from tests.support.gateways import RunningNginx

TOKEN = "runtime-token-of-tests"
NODE_TOKEN = "node-token-of-tests-1"
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class StandInDeploy:
    """What an agent hears from deploy, settable; what it said, kept."""

    url: str
    holds: bool | None = True
    heartbeats: list[dict[str, Any]] = field(default_factory=list)
    confirmed: list[dict[str, Any]] = field(default_factory=list)
    #: What stays of each app; None is a deploy that knows no releases.
    kept: Callable[[str], dict[str, Any]] | None = None

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        """The status and data of the answer."""
        if path == "/internal/runtime-nodes/heartbeat":
            self.heartbeats.append(body)
            node = {"id": {"value": 1}, "name": body["nodeName"], "enabled": True, "weight": 1}
            return 200, node | {"agentBaseUrl": body["agentBaseUrl"], "gatewayBaseUrl": body["gatewayBaseUrl"]}
        if path == "/internal/runtime-nodes/images":
            if self.kept is None:
                return 404, None
            return 200, {"apps": [{"appId": app, "known": True} | self.kept(app) for app in body["appIds"]]}
        self.confirmed.append(body)
        if self.holds is None:
            return 503, None
        return 200, {"holds": self.holds, "reason": None if self.holds else "the job was cancelled"}


@contextmanager
def deploy(port: int = 0) -> Iterator[StandInDeploy]:
    """A deploy that knows fences and heartbeats only, on a free port unless told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, data = stand_in.answer(self.path, body)
            proven = self.headers["X-RT-Node-Token"] == NODE_TOKEN
            status, data = (status, data) if proven else (401, None)
            text = json.dumps({"code": status, "message": "ok", "data": data}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    stand_in = StandInDeploy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class RuntimeNode:
    """One agent and one gateway; `name` separates its containers from those of others on the same engine."""

    def __init__(
        self, folder: Path, engine: str, name: str, environment: Mapping[str, str], wrapper: Sequence[str] = ()
    ) -> None:
        """`wrapper` is a program that takes the agent's command line and becomes the agent."""
        self.folder = folder
        self.engine = engine
        self.name = name
        self.agent_url = f"http://127.0.0.1:{real.free_port()}"
        self.gateway_url = f"http://127.0.0.1:{real.free_port()}"
        self.map_path = folder / "g" / "routes.map"
        self._config = folder / "g" / "haproxy.cfg"
        self._environment = {"RUNTIME_APP_SUBNETS": str(engines.POOL), **environment}
        self._wrapper = list(wrapper)
        self._agent: subprocess.Popen[bytes] | None = None
        self._gateway: subprocess.Popen[bytes] | None = None
        self.gateway = Gateway("127.0.0.1", _port(self.gateway_url), self.map_path, folder / "g" / "admin.sock")
        install(self.gateway, self._config)
        self.nginx = None
        if environment.get("RUNTIME_GATEWAY_DRIVER") == "nginx":
            self.nginx = RunningNginx(folder / "g", port=_port(self.gateway_url), most=1000)

    def start_gateway(self) -> None:
        """HAProxy or nginx in the foreground, as a supervisor runs it."""
        if self.nginx is not None:
            argv = list(self.nginx.argv())
        else:
            argv = list(command(real.program("haproxy", "haproxy"), self.gateway, self._config))
        self._gateway = _spawn(argv, self.folder / "gateway.log", os.environ)
        real.wait_until(lambda: real.listening(_port(self.gateway_url)), "the gateway's start")

    def start_agent(self, until: Callable[[], bool] | None = None) -> None:
        """`python -m daemons.agent`, ready unless told what to wait for instead."""
        environment = {
            "PATH": os.environ["PATH"],
            "DOCKER_HOST": self.engine,
            "RUNTIME_AGENT_HOST": "127.0.0.1",
            "RUNTIME_AGENT_PORT": str(_port(self.agent_url)),
            "RUNTIME_AGENT_TOKEN": TOKEN,
            "RUNTIME_NODE_NAME": self.name,
            "RUNTIME_NODE_AGENT_BASE_URL": self.agent_url,
            "RUNTIME_NODE_GATEWAY_BASE_URL": self.gateway_url,
            "RUNTIME_DATA_DIR": str(self.folder / "agent"),
            "RUNTIME_GATEWAY_MAP": str(self.map_path),
            "RUNTIME_GATEWAY_SOCKET": str(self.gateway.socket_path),
            **self._nginx(),
            "RUNTIME_START_SECONDS": "5",
            "RUNTIME_DRAIN_SECONDS": "10",
            "RUNTIME_WATCH_SECONDS": "0",
            **self._environment,
        }
        argv = [*self._wrapper, sys.executable, "-m", "daemons.agent"]
        self._agent = _spawn(argv, self.folder / "agent.log", environment)
        real.wait_until(until or self.ready, "the agent's start")

    def _nginx(self) -> dict[str, str]:
        if self.nginx is None:
            return {}
        folder, (host, port) = self.nginx.configuration.folder, self.nginx.configuration.admin
        return {"RUNTIME_NGINX_FOLDER": str(folder), "RUNTIME_NGINX_ADMIN": f"{host}:{port}"}

    def ready(self) -> bool:
        """Whether the agent takes work."""
        try:
            return httpx.get(f"{self.agent_url}/internal/ready", trust_env=False, verify=False).is_success
        except httpx.TransportError:
            return False

    @property
    def agent_pid(self) -> int:
        """The agent's process."""
        assert self._agent is not None
        return self._agent.pid

    def kill_agent(self) -> None:
        """As a crash of the process would."""
        _end(self._agent, signal.SIGKILL)

    def kill_gateway(self) -> None:
        """As the end of the machine would."""
        _end(self._gateway, signal.SIGKILL)
        real.wait_until(lambda: not real.listening(_port(self.gateway_url)), "the end of HAProxy's processes")

    def stop_agent(self) -> None:
        """As a supervisor does."""
        _end(self._agent, signal.SIGTERM)

    def stop_gateway(self) -> None:
        """As a supervisor would before it starts another."""
        _end(self._gateway, signal.SIGTERM)

    def post(self, path: str, body: Mapping[str, object], *, token: str = TOKEN) -> httpx.Response:
        """A call as a runner makes it."""
        url, headers = f"{self.agent_url}{path}", {"X-Runtime-Token": token}
        return httpx.post(url, json=dict(body), headers=headers, timeout=60, trust_env=False, verify=False)

    def deploy(self, app_id: str, image: str, fence: int | None, **more: object) -> httpx.Response:
        """`POST /agent/apps/deploy` for user 7."""
        body = {"userId": "7", "appId": app_id, "image": image, **more}
        return self.post("/agent/apps/deploy", body | ({"fence": fence} if fence is not None else {}))

    def status(self, app_id: str) -> dict[str, Any]:
        """`GET /agent/apps/status` for user 7."""
        document: dict[str, Any] = self.get("/agent/apps/status", app_id).json()
        return document

    def get(self, path: str, app_id: str) -> httpx.Response:
        """What the agent says of user 7's app."""
        query, headers = {"userId": "7", "appId": app_id}, {"X-Runtime-Token": TOKEN}
        return httpx.get(
            f"{self.agent_url}{path}", params=query, headers=headers, timeout=120, trust_env=False, verify=False
        )

    def page(self, path: str) -> httpx.Response:
        """What a visitor sees."""
        return httpx.get(f"{self.gateway_url}{path}", trust_env=False, verify=False)

    def containers(self, app_id: str | None = None) -> list[str]:
        """Names of this node's containers, running or not."""
        label = [f"--filter=label=funai.app-id={app_id}"] if app_id else []
        node = f"--filter=label=funai.node={self.name}"
        return docker(self.engine, "ps", "-a", "--format={{.Names}}", node, *label).split()

    def settled(self, app_id: str, container: str) -> bool:
        """Whether this is the app's only container."""
        return self.containers(app_id) == [container]

    def close(self) -> None:
        """Stop both and remove what this node made: services, containers, networks, packet filter rules."""
        _end(self._agent, signal.SIGTERM)
        _end(self._gateway, signal.SIGTERM)
        engines.clear(self.engine, self.name)


@contextmanager
def node(folder: Path, engine: str, name: str, **environment: str) -> Iterator[RuntimeNode]:
    """A running node for the duration of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    running = RuntimeNode(folder, engine, name, environment)
    try:
        running.start_gateway()
        running.start_agent()
        yield running
    finally:
        running.close()


class Workshop:
    """Builds the images that tests deploy, and removes them."""

    def __init__(self, engine: str, folder: Path, namespace: str) -> None:
        self._engine = engine
        self.folder = folder
        self._namespace = namespace
        self._built: list[str] = []

    def image(self, app_id: str, tag: str, dockerfile: str) -> str:
        """The reference of a new image of user 7's app."""
        context = self.folder / f"{app_id}-{tag}"
        context.mkdir(parents=True, exist_ok=True)
        (context / "Dockerfile").write_text(dockerfile)
        reference = f"{self._namespace}/u7-app{app_id}:{tag}"
        environment = os.environ | {"DOCKER_BUILDKIT": "0"}
        argv = ["docker", "-H", self._engine, "build", "-q", "-t", reference, str(context)]
        subprocess.run(argv, check=True, capture_output=True, env=environment)
        self._built.append(reference)
        return reference

    def page(self, app_id: str, tag: str, text: str, *, delay: float = 0, extra: str = "") -> str:
        """An app that serves one page on port 3000, after a delay."""
        serve = "httpd -f -p 3000 -h /www"
        command = f'["sh","-c","sleep {delay}; exec {serve}"]' if delay else json.dumps(serve.split())
        head = f"FROM busybox:1.36\nRUN mkdir -p /www && echo {text} > /www/index.html\n{extra}\n"
        return self.image(app_id, tag, f"{head}CMD {command}\n")

    def close(self) -> None:
        """Remove what was built."""
        for reference in self._built:
            argv = ["docker", "-H", self._engine, "rmi", "-f", reference]
            subprocess.run(argv, check=False, capture_output=True)


def docker(engine: str, *argv: str) -> str:
    """The output of a docker command."""
    return subprocess.run(["docker", "-H", engine, *argv], check=True, capture_output=True, text=True).stdout


def _spawn(argv: list[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=dict(environment), cwd=_ROOT
        )


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(how)
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
