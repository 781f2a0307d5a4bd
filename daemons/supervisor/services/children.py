"""Which processes make up a platform: their command lines, and exactly the environment that each needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from daemons.kit.gateway import Gateway, PreviewNode, command
from daemons.kit.haproxy_entry import Services
from daemons.supervisor.domain import credentials
from daemons.supervisor.domain.network import HOST, Ports
from daemons.supervisor.ports import Child
from daemons.supervisor.settings import Layout
from protocol.pushes import PUSHES_PATH
from protocol.webhooks import RESULTS_PATH

#: Settings of the caller's environment that reach a child, by prefix.
_PASSED: Final[Mapping[str, tuple[str, ...]]] = {
    "deploy": ("DEPLOY_",),
    "runner": ("RUNNER_", "JOB_LEASE_", "POLL_", "ACR_", "REGISTRY_", "NPM_"),
    "agent": ("RUNTIME_", "REGISTRY_", "DEPLOY_HEARTBEAT_"),
    "api": (
        *("API_", "DEPLOY_GIT_", "DEPLOY_ACR_", "DEPLOY_PROXY_", "GITEA_"),
        *(f"FUNAI_WORKSPACE_NODE_REGISTRY_{what}" for what in ("NODE_TOKENS", "ALLOWED_IPS", "HEARTBEAT_", "DISK_")),
    ),
    "git": ("GIT_",),
    "workspace": ("WORKSPACE_", "FUNAI_WORKSPACE_"),
    "gateway": (),
}
_REGISTRY_OF_DEPLOY: Final = "DEPLOY_REGISTRY_CLEANUP_"
_OF_THE_MACHINE: Final = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "FUNAI_LOG_FORMAT", "FUNAI_LOG_LEVEL",
    "FUNAI_CONFIG",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the command lines are made of."""

    layout: Layout
    ports: Ports
    credentials: Mapping[str, str] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    engine_url: str
    python: str
    haproxy: str
    filters_packets: bool
    base_image: str
    database_url: str | None = field(repr=False)

    def children(self) -> Sequence[Child]:
        """Every child of the platform."""
        daemons = {
            "deploy": self._deploy(),
            "git": self._git(),
            "api": self._api(),
            "agent": self._agent(),
            "runner": self._runner(),
            "workspace": self._workspace(),
        }
        argv = command(self.haproxy, public_gateway(self.layout, self.ports), self.layout.gateway_config)
        gateway = Child("gateway", argv, self._base("gateway"), f"{self.ports.url('gateway')}/gateway/health")
        return (gateway, *(self._daemon(name, settings) for name, settings in daemons.items()))

    def _daemon(self, name: str, settings: Mapping[str, str]) -> Child:
        probe = f"tcp://{HOST}:{self.ports.git}" if name == "git" else f"{self.ports.url(name)}/internal/ready"
        return Child(name, (self.python, "-m", f"daemons.{name}"), {**self._base(name), **settings}, probe)

    def _base(self, name: str) -> dict[str, str]:
        machine = {key: value for key in _OF_THE_MACHINE if (value := self.environment.get(key)) is not None}
        passed = credentials.passed_on(name, self.environment, _PASSED[name]) if _PASSED[name] else {}
        return {**machine, **passed, **credentials.of_child(name, self.credentials), "PYTHONUNBUFFERED": "1"}

    def _deploy(self) -> dict[str, str]:
        told = self.environment.get("DEPLOY_WEBHOOK_URL") or f"{self.ports.url('api')}{RESULTS_PATH}"
        return {
            "DEPLOY_HOST": HOST,
            "DEPLOY_PORT": str(self.ports.deploy),
            "DEPLOY_DB_URL": self.database_url or f"sqlite:///{self.layout.root / 'deploy.db'}",
            "DEPLOY_WEBHOOK_URL": told,
            **self._looks_into_registry(),
        }

    def _looks_into_registry(self) -> dict[str, str]:
        """Where the control plane looks for images before a rollback, without the account and the leave to remove any;
        who sets one of these variables sets them all. An engine speaks plain HTTP on 127.0.0.0/8 only."""
        host = self.environment.get("ACR_REGISTRY", "")
        if not host or any(name.startswith(_REGISTRY_OF_DEPLOY) for name in self.environment):
            return {}
        scheme = "http" if host.startswith(("127.", "localhost")) else "https"
        return {
            f"{_REGISTRY_OF_DEPLOY}KIND": "registry",
            f"{_REGISTRY_OF_DEPLOY}BASE_URL": f"{scheme}://{host}",
            f"{_REGISTRY_OF_DEPLOY}PROJECT": self.environment.get("ACR_NAMESPACE") or "funaistudio",
        }

    def _git(self) -> dict[str, str]:
        return {
            "GIT_HOST": HOST,
            "GIT_PORT": str(self.ports.git),
            "GIT_DATA_DIR": str(self.layout.git / "repositories"),
            "GIT_HOST_KEY_PATH": str(self.layout.git_host_key),
            "GIT_LOANS_DIR": str(self.layout.git / "loans"),
            "GIT_REMOVALS_DIR": str(self.layout.git / "removals"),
            "GIT_CREATIONS_DIR": str(self.layout.git / "creations"),
            "GIT_PUSHES_DIR": str(self.layout.git / "pushes"),
            "GIT_ACCESS_FILE": str(self.layout.git / "access.json"),
            "GIT_WEBHOOK_URL": f"{self.ports.url('api')}{PUSHES_PATH}",
        }

    def _api(self) -> dict[str, str]:
        return {
            "API_HOST": HOST,
            "API_PORT": str(self.ports.api),
            # Visitors come through the gateway, which says who they are.
            "API_TRUSTED_PROXIES": self.environment.get("API_TRUSTED_PROXIES") or HOST,
            "API_DB_URL": self.environment.get("API_DB_URL") or f"sqlite:///{self.layout.root / 'api.db'}",
            "DEPLOY_PROXY_BASE_URL": self.ports.url("deploy"),
            # By the name that comes first at the API: one in the caller's environment is of another control plane.
            "API_DEPLOY_WEBHOOK_SECRET": self.credentials["DEPLOY_WEBHOOK_SECRET"],
            "API_DEPLOY_ADMIN_TOKEN": self.credentials["DEPLOY_ADMIN_TOKEN"],
            "DEPLOY_GIT_SSH_HOST": HOST,
            "DEPLOY_GIT_SSH_PORT": str(self.ports.git),
            "GIT_ACCESS_FILE": str(self.layout.git / "access.json"),
            "GIT_REMOVALS_DIR": str(self.layout.git / "removals"),
            "GIT_CREATIONS_DIR": str(self.layout.git / "creations"),
            # By the name that comes first, as above.
            "API_GIT_WEBHOOK_SECRET": self.credentials["GIT_WEBHOOK_SECRET"],
            "RUNNER_GIT_PUBLIC_KEY_PATH": f"{self.layout.runner_key}.pub",
        }

    def _agent(self) -> dict[str, str]:
        return {
            **self._registry(),
            "RUNTIME_AGENT_HOST": HOST,
            "RUNTIME_AGENT_PORT": str(self.ports.agent),
            "RUNTIME_NODE_AGENT_BASE_URL": self.ports.url("agent"),
            "RUNTIME_NODE_GATEWAY_BASE_URL": self.ports.url("gateway"),
            "DEPLOY_BASE_URL": self.ports.url("deploy"),
            "DOCKER_HOST": self.engine_url,
            "RUNTIME_DATA_DIR": str(self.layout.root / "agent"),
            "RUNTIME_GATEWAY_MAP": str(self.layout.gateway_map),
            "RUNTIME_GATEWAY_SOCKET": str(self.layout.gateway_socket),
            # Who may use the engine may not always set packet filter rules.
            "RUNTIME_APP_FIREWALL": self.environment.get("RUNTIME_APP_FIREWALL") or str(self.filters_packets).lower(),
        }

    def _registry(self) -> dict[str, str]:
        """The runner's registry, where the runner pushes to, under the names by which the agent pulls from it."""
        caller = self.environment
        return {
            "REGISTRY_URL": caller.get("REGISTRY_URL") or caller.get("ACR_REGISTRY", ""),
            "REGISTRY_USERNAME": caller.get("REGISTRY_USERNAME") or caller.get("ACR_USERNAME", ""),
            "REGISTRY_PASSWORD": caller.get("REGISTRY_PASSWORD") or caller.get("ACR_PASSWORD", ""),
        }

    def _workspace(self) -> dict[str, str]:
        caller, registry = self.environment, self.credentials["FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET"]
        return {
            "WORKSPACE_HOST": HOST,
            "WORKSPACE_PORT": str(self.ports.workspace),
            "DOCKER_HOST": self.engine_url,
            "FUNAI_WORKSPACE_HOSTROOT": str(self.layout.root / "workspaces"),
            "FUNAI_WORKSPACE_STATEROOT": str(self.layout.root / "workspace-node"),
            "FUNAI_WORKSPACE_IMAGE": caller.get("FUNAI_WORKSPACE_IMAGE") or self.base_image,
            "FUNAI_WORKSPACE_PREVIEWBASEURL": self.ports.url("gateway"),
            # The platform's one gateway asks the node itself; it is the node's too.
            "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NGINX_BASE_URL": self.ports.url("gateway"),
            "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_NODE_API_BASE_URL": self.ports.url("workspace"),
            "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_API_BASE_URL": self.ports.url("api"),
            "FUNAI_WORKSPACE_NODE_REGISTRY_CLIENT_TOKEN": registry,
            **self._registry(),
            "FUNAI_WORKSPACE_GIT_ENABLED": caller.get("FUNAI_WORKSPACE_GIT_ENABLED") or "true",
            "FUNAI_WORKSPACE_GIT_SSH_HOST": HOST,
            "FUNAI_WORKSPACE_GIT_SSH_PORT": str(self.ports.git),
            "FUNAI_WORKSPACE_GIT_KNOWN_HOSTS_PATH": str(self.layout.known_hosts),
            "FUNAI_WORKSPACE_GIT_LOANS_DIR": str(self.layout.git / "loans"),
            "FUNAI_WORKSPACE_FIREWALL": caller.get("FUNAI_WORKSPACE_FIREWALL") or str(self.filters_packets).lower(),
        }

    def _runner(self) -> dict[str, str]:
        return {
            "RUNNER_HOST": HOST,
            "RUNNER_PORT": str(self.ports.runner),
            "RUNNER_ID": self.environment.get("RUNNER_ID") or "runner-01",
            # Less than the time a child gets to stop: work in hand is given back, not torn off.
            "RUNNER_DRAIN_SECONDS": self.environment.get("RUNNER_DRAIN_SECONDS") or "5",
            "RUNNER_WORKDIR": str(self.layout.root / "runner" / "work"),
            "DEPLOY_BASE_URL": self.ports.url("deploy"),
            "DOCKER_HOST": self.engine_url,
            "GIT_SSH_KEY_PATH": str(self.layout.runner_key),
            "GIT_KNOWN_HOSTS_PATH": str(self.layout.known_hosts),
        }


def public_gateway(layout: Layout, ports: Ports) -> Gateway:
    """The platform's one entrance: apps, previews and the API."""
    previews, services = PreviewNode(HOST, ports.workspace), Services((HOST, ports.api))
    return Gateway(HOST, ports.gateway, layout.gateway_map, layout.gateway_socket, previews=previews, services=services)
