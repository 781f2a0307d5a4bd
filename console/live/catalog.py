"""Every table there is, in the order of their keys. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from console.live.views.alerts import OVERVIEW
from console.live.views.apps import APPS
from console.live.views.drains import DRAINS
from console.live.views.events import EVENTS
from console.live.views.jobs import JOBS
from console.live.views.nodes import NODES
from console.live.views.operations import OPERATIONS
from console.live.views.placements import PLACEMENTS
from console.live.views.runners import RUNNERS
from console.live.views.spec import ViewSpec
from console.live.views.users import USERS
from console.live.views.webhooks import WEBHOOKS
from console.live.views.workspaces import WORKSPACE_NODES, WORKSPACES

VIEWS: Final[tuple[ViewSpec[Any], ...]] = (
    OVERVIEW,
    JOBS,
    NODES,
    PLACEMENTS,
    RUNNERS,
    APPS,
    EVENTS,
    DRAINS,
    OPERATIONS,
    WEBHOOKS,
    USERS,
    WORKSPACES,
    WORKSPACE_NODES,
)
#: The key of each view, by its name.
KEYS: Final[Mapping[str, str]] = {view.name: key for view, key in zip(VIEWS, "0123456789UWH", strict=True)}


def view_of(name: str) -> ViewSpec[Any]:
    """The view of that name. Raises LookupError."""
    for each in VIEWS:
        if each.name == name:
            return each
    raise LookupError(f"there is no view {name!r}; choose one of {', '.join(each.name for each in VIEWS)}")
