"""What can be fetched beside the snapshot, by name: `operations`, `releases/20001`. Pure.

A topic is read again while a page that needs it is shown, and never otherwise.
"""

from typing import Final

OPERATIONS: Final = "operations"
WEBHOOKS: Final = "webhooks"
DRAINS: Final = "drains"
EVENTS: Final = "events"
APPS: Final = "apps"
REPLICAS: Final = "replicas"
OWNED_APPS: Final = "owned-apps"
DELETIONS: Final = "app-deletions"
ACCOUNTS: Final = "accounts"
HOMES: Final = "workspace-homes"
WORKSPACES: Final = "workspaces"
WORKSPACE_NODES: Final = "workspace-nodes"
WORKSPACE_MOVES: Final = "workspace-moves"


def releases(app_id: str) -> str:
    """The releases of an app."""
    return f"releases/{app_id}"


def app_jobs(app_id: str) -> str:
    """The newest jobs of an app, also those that are older than the snapshot goes back."""
    return f"jobs/{app_id}"


def app(app_id: str) -> str:
    """How one app stands."""
    return f"app/{app_id}"


def app_detail(app_id: str) -> str:
    """One app as the API entry knows it: hosts, repository, pushes, or how its deletion goes."""
    return f"app-detail/{app_id}"


def app_stats(app_id: str) -> str:
    """What one app uses."""
    return f"app-stats/{app_id}"


def node_stats(name: str) -> str:
    """What the apps of a node use."""
    return f"node-stats/{name}"


def moves(drain_id: str) -> str:
    """The moves of a drain."""
    return f"moves/{drain_id}"


def plan(name: str) -> str:
    """What a drain of a node would do."""
    return f"plan/{name}"


def parts(topic: str) -> tuple[str, str]:
    """Its kind and what it is about."""
    kind, _, subject = topic.partition("/")
    return kind, subject
