"""Every action there is: the footer, the help, the palette, the keymap and the command line are made from it. Pure."""

from typing import Any, Final

from console.live.actions import apps, jobs, nodes, runners, users, workspaces
from console.live.actions.spec import Action

ACTIONS: Final[tuple[Action[Any], ...]] = (
    *jobs.ACTIONS,
    *nodes.ACTIONS,
    *apps.ACTIONS,
    *runners.ACTIONS,
    *workspaces.ACTIONS,
    *users.ACTIONS,
)


def action_of(action_id: str) -> Action[Any]:
    """The action of that id. Raises LookupError."""
    for each in ACTIONS:
        if each.id == action_id:
            return each
    raise LookupError(f"there is no action {action_id!r}; choose one of {', '.join(each.id for each in ACTIONS)}")
