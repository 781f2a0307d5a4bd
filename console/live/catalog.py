"""Every table there is, in the order of their keys. Pure."""

from typing import Any, Final

from console.live.views.jobs import JOBS
from console.live.views.nodes import NODES
from console.live.views.placements import PLACEMENTS
from console.live.views.runners import RUNNERS
from console.live.views.spec import ViewSpec

VIEWS: Final[tuple[ViewSpec[Any], ...]] = (JOBS, NODES, PLACEMENTS, RUNNERS)


def view_of(name: str) -> ViewSpec[Any]:
    """The view of that name. Raises LookupError."""
    for each in VIEWS:
        if each.name == name:
            return each
    raise LookupError(f"there is no view {name!r}; choose one of {', '.join(each.name for each in VIEWS)}")
