"""Whose log belongs to an object of a table. Pure."""

from collections.abc import Sequence

from console.live.logs.book import Origin
from console.live.views.jobs import short
from console.live.words import t
from protocol.apps import AppRunView, AppView
from protocol.jobs import JobView
from protocol.nodes import PlacementView


def origin_of(value: object, plane: str = "") -> Origin | None:
    """The job's own log, or the output of the app; None for what writes no log. `plane` is its control plane's name,
    which is said where there is one."""
    where = f"{plane} " if plane else ""
    if isinstance(value, JobView):
        label = t("job {job} {app}", job=short(value.id), app=value.app_id)
        return Origin("job", value.id, f"{where}{label}", plane)
    if isinstance(value, PlacementView | AppRunView | AppView):
        return Origin("app", value.app_id, f"{where}{t('app {app}', app=value.app_id)}", plane)
    return None


def title_of(origins: Sequence[Origin]) -> str:
    """What stands over their log."""
    if not origins:
        return t("No job or app is selected")
    if len(origins) == 1:
        return t("Log of {name}", name=origins[0].label)
    names = ", ".join(origin.label for origin in origins[:3]) + " …" * (len(origins) > 3)
    return t("Logs of {count}: {names}", count=len(origins), names=names)
