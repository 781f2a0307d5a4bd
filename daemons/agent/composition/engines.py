"""Which engine the agent works with, and the fence around its apps."""

import logging
from typing import Final

from aiodocker import Docker

from daemons.agent.adapters.docker import Credentials, DockerEngine
from daemons.agent.adapters.networks import AppNetworks, OverlayNetworks
from daemons.agent.adapters.swarm import SwarmEngine
from daemons.agent.settings import AgentSettings
from daemons.kit.engine.fences import Reach
from daemons.kit.engine.firewall import Iptables, NoFirewall
from daemons.kit.engine.networks import Firewall

logger = logging.getLogger(__name__)

_ADVICE: Final = (
    "apps are not started unfenced: let the agent set packet filter rules (iptables installed, CAP_NET_ADMIN), or set "
    "RUNTIME_APP_FIREWALL=false to let apps reach this machine and its networks"
)


def open_engine(settings: AgentSettings, docker: Docker) -> DockerEngine:
    """Docker, what speaks like it, or a swarm."""
    node, login = settings.node_name, credentials(settings)
    if settings.engine == "swarm":
        overlays = OverlayNetworks(docker, node, settings.app_subnets, _firewall(settings))
        # The gateway and the probes reach ports of this machine only.
        return SwarmEngine(docker, node, overlays, login, settings.swarm_constraints, machines="own")
    return DockerEngine(docker, node, AppNetworks(docker, node, settings.app_subnets, _firewall(settings)), login)


def _firewall(settings: AgentSettings) -> Firewall:
    if settings.network:
        logger.warning(
            "apps share a network and can reach each other and this machine: unset RUNTIME_DOCKER_NETWORK to give each "
            "app a network of its own",
            extra={"network": settings.network},
        )
        return NoFirewall()
    if not settings.app_firewall:
        logger.warning("RUNTIME_APP_FIREWALL is false: apps can reach this machine and the networks it reaches")
        return NoFirewall()
    reach = [Reach(network, port) for network, port in settings.app_reach]
    database = settings.mongo_app_host or settings.mongo_host
    servers = [(database, settings.mongo_port)] if database else []
    return Iptables(reach, settings.app_denied, servers, advice=_ADVICE)


def credentials(settings: AgentSettings) -> Credentials | None:
    """The login of the registry that images come from, if there is one."""
    password = settings.registry_password.get_secret_value()
    if not (settings.registry_url and settings.registry_username and password):
        return None
    registry = settings.registry_url.removeprefix("https://").removeprefix("http://").partition("/")[0]
    return Credentials(registry, settings.registry_username, password)
