"""Every page there is: its table, what stands above it, what has to be fetched for it, and where Enter leads. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.live import topics
from console.live.beside import Fetched
from console.live.catalog import VIEWS
from console.live.cells import Cell, Tone, span
from console.live.model import Model, Scene
from console.live.trail import Place
from console.live.views import app_panels, panels, workspace_panels
from console.live.views.alerts import Alert
from console.live.views.apps import APPS, row_of
from console.live.views.drains import moves_of
from console.live.views.jobs import JOBS, short
from console.live.views.panels import Lines
from console.live.views.releases import releases_of
from console.live.views.spec import ViewSpec
from console.live.views.steps import steps_of
from console.live.views.tenants import name_of, tenants_of
from console.live.views.users import UserRow
from console.live.views.workspaces import WORKSPACES
from console.live.words import t
from protocol.apps import AppView
from protocol.audit import AuditEntry
from protocol.base import Wire
from protocol.drains import DrainMove, DrainView
from protocol.jobs import JobView
from protocol.nodes import NodeView, PlacementView, RunnerView
from protocol.operations import OperationView
from protocol.releases import ReleaseView
from protocol.webhooks import DeliveryView
from protocol.workspace_nodes import WorkspaceNodeView
from protocol.workspace_operators import WorkspaceStanding

Topics = Callable[[str, Model | None], tuple[str, ...]]


def _no_topics(_: str, __: Model | None) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class PageSpec:
    """One kind of page. All its parts get the id of the object that it is about, empty on pages about all objects.

    `scope` says which objects of the table belong to the page. `log`: below it is the log of the page's job.
    `acts_as`: actions of that view are meant for the page's object, whatever row is selected.
    """

    name: str
    table: Callable[[str], ViewSpec[Any]]
    panel: Callable[[Scene, str], Lines] | None = None
    topics: Topics = _no_topics
    scope: Callable[[str], Callable[[Any], bool]] | None = None
    crumb: Callable[[str, Model | None], str] = lambda subject, _: subject
    log: bool = False
    acts_as: str = ""


def _about_node(node_id: str, model: Model | None) -> tuple[str, ...]:
    if model is None or node_id not in model.nodes:
        return (topics.DRAINS,)
    name = name_of(model, node_id)
    return (topics.DRAINS, topics.node_stats(name), topics.plan(name))


def _node_crumb(node_id: str, model: Model | None) -> str:
    return name_of(model, node_id) if model is not None else node_id


def _workspace_node_crumb(node_id: str, model: Model | None) -> str:
    node = model.beside.of(topics.WORKSPACE_NODES).get(node_id) if model is not None else None
    return node.name if node is not None else t("workspace node {name}", name=node_id)


def _top(view: ViewSpec[Any], *fetched: str, panel: Callable[[Scene, str], Lines] | None = None) -> PageSpec:
    return PageSpec(view.name, lambda _: view, panel, lambda _, __: fetched, crumb=lambda _, __: view.title)


_OF_APPS: Final = (topics.APPS, topics.OWNED_APPS, topics.DELETIONS)
_FETCHED: Final[Mapping[str, tuple[str, ...]]] = {
    "overview": (topics.DRAINS, topics.OPERATIONS, topics.WEBHOOKS, topics.REPLICAS),
    "apps": _OF_APPS,
    "users": (topics.ACCOUNTS, topics.OWNED_APPS, topics.HOMES),
    "events": (topics.EVENTS,),
    "drains": (topics.DRAINS,),
    "operations": (topics.OPERATIONS,),
    "webhooks": (topics.WEBHOOKS,),
    "workspaces": (topics.WORKSPACES, topics.WORKSPACE_MOVES),
    "workspace-nodes": (topics.WORKSPACE_NODES,),
}
_DEEPER: Final = (
    PageSpec(
        "job",
        steps_of,
        panels.job,
        crumb=lambda subject, _: t("job {job}", job=short(subject)),
        log=True,
        acts_as="jobs",
    ),
    PageSpec("node", tenants_of, panels.node, _about_node, crumb=_node_crumb, acts_as="nodes"),
    PageSpec(
        "app",
        releases_of,
        app_panels.app,
        lambda app, _: (
            *(topics.app(app), topics.releases(app), topics.app_jobs(app), topics.app_stats(app)),
            *(topics.OWNED_APPS, topics.DELETIONS, topics.app_detail(app)),
        ),
        crumb=lambda subject, _: t("app {app}", app=subject),
        acts_as="apps",
    ),
    PageSpec("runner", lambda _: JOBS, panels.runner, scope=lambda runner: lambda job: job.runner_id == runner),
    PageSpec(
        "drain",
        moves_of,
        panels.drain,
        lambda drain, _: (topics.DRAINS, topics.moves(drain)),
        crumb=lambda subject, _: t("drain {number}", number=subject),
    ),
    PageSpec(
        "user",
        lambda _: APPS,
        panels.user,
        lambda _, __: (*_OF_APPS, topics.ACCOUNTS, topics.HOMES),
        scope=lambda user: lambda app: app.user_id == user,
        crumb=lambda subject, _: t("user {user}", user=subject),
    ),
    PageSpec(
        "workspace",
        lambda _: JOBS,
        workspace_panels.workspace,
        lambda user, _: (topics.WORKSPACES, topics.WORKSPACE_NODES, topics.WORKSPACE_MOVES),
        scope=lambda user: lambda job: job.user_id == user,
        crumb=lambda subject, _: t("workspace of user {user}", user=subject),
        acts_as="workspaces",
    ),
    PageSpec(
        "workspace-node",
        lambda _: WORKSPACES,
        workspace_panels.node,
        lambda _, __: (topics.WORKSPACE_NODES, topics.WORKSPACES, topics.WORKSPACE_MOVES),
        scope=lambda node: lambda workspace: str(workspace.node_id) == node,
        crumb=_workspace_node_crumb,
    ),
)
_PAGES: Final[Mapping[str, PageSpec]] = {
    **{
        view.name: _top(view, *_FETCHED.get(view.name, ()), panel=panels.overview if view.name == "overview" else None)
        for view in VIEWS
    },
    **{page.name: page for page in _DEEPER},
}


def page_of(name: str) -> PageSpec:
    """The page of that name. Raises LookupError."""
    found = _PAGES.get(name)
    if found is None:
        raise LookupError(f"there is no page {name!r}; choose one of {', '.join(_PAGES)}")
    return found


def topics_of(view: ViewSpec[Any]) -> tuple[str, ...]:
    """What has to be fetched for a view of all objects."""
    return page_of(view.name).topics("", None)


def into(value: Wire | None, scene: Scene | None) -> Place | None:
    """The page that an object leads into; None where there is nothing more to see."""
    if value is None or scene is None:
        return None
    found = _about(value)
    return Place(found[0], found[1], scene.plane) if found is not None else None


def _about(value: Wire) -> tuple[str, str] | None:
    match value:
        case JobView():
            return "job", value.id
        case NodeView():
            return "node", str(value.node_id)
        case RunnerView():
            return "runner", value.runner_id
        case PlacementView() | AppView() | DrainMove() | OperationView():
            return "app", value.app_id
        case ReleaseView() | DeliveryView():
            return "job", value.job_id
        case DrainView():
            return "drain", str(value.id)
        case UserRow() | WorkspaceStanding() | WorkspaceNodeView():
            return _lives(value)
        case _:
            return _told(value)


def _lives(value: UserRow | WorkspaceStanding | WorkspaceNodeView) -> tuple[str, str]:
    if isinstance(value, WorkspaceNodeView):
        return "workspace-node", str(value.node_id)
    return "user" if isinstance(value, UserRow) else "workspace", value.user_id


def _told(value: Wire) -> tuple[str, str] | None:
    """What an alert or an event is about. A view of all objects has no subject."""
    match value:
        case Alert():
            kind = value.kind.partition(":")[0]
            return kind, "" if kind in {view.name for view in VIEWS} else value.subject
        case AuditEntry(kind="job" | "drain" | "node"):
            return value.kind, value.subject
        case AuditEntry(kind="placement" | "app" | "shell" | "database"):
            return "app", value.subject
        case AuditEntry(kind="operation"):
            return "operations", ""
        case AuditEntry(kind="webhook"):
            return "webhooks", ""
        case _:
            return None


def subject_of(place: Place, model: Model) -> Wire | None:
    """The object that a page is about, where actions can be meant for it."""
    match place.view:
        case "job":
            return model.jobs.get(place.subject)
        case "node":
            return model.nodes.get(place.subject)
        case "app":
            return row_of(model, place.subject)
        case "workspace":
            return model.beside.of(topics.WORKSPACES).get(place.subject)
        case _:
            return None


def reading(fetched: Iterable[Fetched], wanted: int, local: float) -> Cell | None:
    """How old what was fetched is, whether it is being read the first time, or what is wrong; None for a page of the
    snapshot alone."""
    found = tuple(fetched)
    if not wanted:
        return None
    problem = next((each.problem for each in found if each.problem), None)
    if problem is not None:
        return Cell(f"✗ {problem}", Tone.BAD)
    ages = [local - each.read_at for each in found if each.read_at is not None]
    if len(ages) < wanted:
        return Cell(t("… reading"), Tone.QUIET)
    more = f" · {t('older ones follow at the end')}" if any(each.older for each in found) else ""
    return Cell(f"{t('read {age} ago', age=span(max(ages)))}{more}", Tone.QUIET)
