"""Who may come in: one gate per kind of caller, as the settings have it."""

from dataclasses import dataclass

from daemons.deploy.settings import DeploySettings
from daemons.kit.auth import Gate
from daemons.kit.settings import revealed
from protocol import headers


@dataclass(frozen=True, slots=True)
class Gates:
    """One gate per kind of caller."""

    admin: Gate
    api: Gate
    runner: Gate
    node: Gate
    gateway: Gate


def gates_of(settings: DeploySettings) -> Gates:
    """The gates of a control plane."""
    return Gates(
        admin=Gate(
            "admin",
            headers.ADMIN_TOKEN,
            revealed(settings.admin_tokens),
            settings.admin_enabled,
            settings.admin_networks,
        ),
        api=Gate(
            "api", headers.DEPLOY_SECRET, revealed(settings.api_tokens), settings.api_enabled, settings.api_networks
        ),
        runner=Gate("runner", headers.RUNNER_TOKEN, revealed(settings.runner_tokens), settings.runner_enabled),
        node=Gate(
            "node", headers.NODE_TOKEN, revealed(settings.node_tokens), settings.node_enabled, settings.node_networks
        ),
        gateway=Gate(
            "gateway",
            headers.WORKSPACE_GATEWAY_TOKEN,
            revealed(settings.gateway_tokens),
            networks=settings.gateway_networks,
        ),
    )
