"""What can be done with apps: from their placements, and from their jobs. Pure."""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from console.live.actions.orders import (
    DeleteForOwner,
    MoveApp,
    PinRelease,
    RollBack,
    RollBackForOwner,
    StopApp,
    StopForOwner,
    TurnOperation,
)
from console.live.actions.spec import Action, Danger, Option, Reads
from console.live.cells import seconds_between, span
from console.live.keyed import Keyed
from console.live.model import Scene
from console.live.plain import line
from console.live.views.apps import AppRow
from console.live.words import t
from protocol import versions
from protocol.apps import AppView
from protocol.jobs import JobStatus, JobView
from protocol.nodes import NodeView, PlacementView
from protocol.operations import OperationView
from protocol.releases import ReleasePage, ReleaseView

#: Objects that name an app.
OfApp = JobView | PlacementView | AppView
_VIEWS: Final = ("jobs", "placements", "apps")
_PLACED: Final = ("placements", "apps")


def app_name(of: OfApp, _: Scene) -> str:
    """What an app is called in questions."""
    return line(t("app {app}", app=of.app_id))


def app_word(of: OfApp) -> str:
    """What has to be typed before something is done to it."""
    return of.app_id


@lru_cache(maxsize=8)
def _owners(jobs: Keyed[JobView]) -> dict[str, str]:
    return {job.app_id: job.user_id for job in jobs.values()}


def _owner(of: OfApp, scene: Scene) -> str | None:
    """Who owns it, as far as it is known here."""
    known = None if isinstance(of, PlacementView) else of.user_id
    return known or _owners(scene.model.jobs).get(of.app_id)


def _owned(of: OfApp) -> bool:
    """Whether the API entry knows whose it is: then it is changed there, within its owner's limits."""
    return isinstance(of, AppRow) and of.status is not None


def _version(of: OfApp, scene: Scene) -> str:
    placement = scene.model.placements.get(of.app_id)
    return versions.of_app(placement.node_id if placement else None)


def _unplaced(of: OfApp, scene: Scene) -> str | None:
    if isinstance(of, AppRow) and of.deletion is not None:
        return t("it was deleted") if of.deletion.complete else t("it is being deleted")
    return None if of.app_id in scene.model.placements else t("it is on no node")


def _undeletable(of: OfApp, scene: Scene) -> str | None:
    if isinstance(of, AppRow) and of.deletion is not None:
        return _unplaced(of, scene)
    return None if _owned(of) else t("the API entry, which deletes apps, knows nothing of it")


def _whole_name(of: OfApp, scene: Scene) -> str:
    """What an app is called, and whose it is."""
    called = f"{of.app_id} {of.app_name}" if isinstance(of, AppRow) and of.app_name else of.app_id
    return line(t("app {app} of user {user}", app=called, user=_owner(of, scene) or "?"))


def _unmovable(of: OfApp, scene: Scene) -> str | None:
    for job in scene.model.jobs.values():
        if job.app_id == of.app_id and job.status is JobStatus.RUNNING:
            return t("a job of it runs; wait until it ends")
    return _unplaced(of, scene)


def _moved(of: OfApp, scene: Scene, option: Option | None) -> MoveApp | None:
    node = option.value if option is not None else None
    if not isinstance(node, NodeView):
        return None
    return MoveApp(of.app_id, node.node_id, node.name, _version(of, scene))


def _back(of: OfApp, _: Scene, option: Option | None) -> RollBack | RollBackForOwner | None:
    found = option.value if option is not None else None
    if not isinstance(found, ReleaseView):
        return None
    version = option.version if option is not None else None
    if _owned(of):
        return RollBackForOwner(of.app_id, found.number, version)
    return RollBack(of.app_id, found.user_id, found.number, version)


def _goes_back(of: OfApp, _: Scene) -> str:
    said = t("A job deploys the image of that release; nothing is built.")
    if _owned(of):
        return said
    return f"{said} {t('The limit of its owner does not count here; in the view Apps it does.')}"


def _stopped(of: OfApp, scene: Scene) -> StopApp | StopForOwner:
    if _owned(of):
        return StopForOwner(of.app_id)
    return StopApp(of.app_id, _owner(of, scene), _version(of, scene))


def _pinned(of: OfApp, option: Option | None, *, pinned: bool) -> PinRelease | None:
    found = option.value if option is not None else None
    return PinRelease(of.app_id, found.number, pinned) if isinstance(found, ReleaseView) else None


def _turned(of: OfApp, option: Option | None, *, abandon: bool) -> TurnOperation | None:
    found = option.value if option is not None else None
    return TurnOperation(found.id, of.app_id, abandon) if isinstance(found, OperationView) else None


def release_options(page: ReleasePage, action: str, now: datetime) -> tuple[Option, ...]:
    """The releases to choose from, newest first; which of them an action is not for."""
    newest = versions.of_releases(page.items[0].number if page.items else None)
    return tuple(
        Option(str(each.number), _release_words(each, now), each, _release_refusal(each, action), newest)
        for each in page.items
    )


def _release_words(release: ReleaseView, now: datetime) -> str:
    notes = [
        t("{age} old", age=span(seconds_between(now, release.created_at))),
        t("current") if release.current else "",
        t("pinned") if release.pinned else "",
        t("commit {commit}", commit=release.commit[:12]) if release.commit else "",
        t("image removed") if release.image_removed_at else "",
    ]
    return line(" · ".join((t("release {number}", number=release.number), *filter(None, notes), release.image)))


def _release_refusal(release: ReleaseView, action: str) -> str | None:
    match action:
        case "app.rollback" if release.current:
            return t("it runs now")
        case "app.rollback" if release.image_removed_at is not None:
            return t("its image was removed")
        case "release.pin" if release.pinned:
            return t("it is pinned already")
        case "release.unpin" if not release.pinned:
            return t("it is not pinned")
    return None


def node_options(of: OfApp, scene: Scene) -> tuple[Option, ...]:
    """The nodes that an app may be moved to."""
    placement = scene.model.placements.get(of.app_id)
    here = placement.node_id if placement else None
    found = sorted(scene.model.nodes.values(), key=lambda node: node.name)
    return tuple(_node_option(node, here=node.node_id == here) for node in found)


def _node_option(node: NodeView, *, here: bool) -> Option:
    free = "" if node.disk_free_pct is None else t(" · {percent} % free", percent=f"{node.disk_free_pct:.0f}")
    why = t("it is there") if here else None if node.enabled else t("it is cordoned")
    return Option(node.name, line(f"{node.name} · {node.health.value}{free}"), node, why)


ACTIONS: Final[tuple[Action[Any], ...]] = (
    Action[OfApp](
        id="app.rollback",
        title="Roll back",
        ask="Roll back {name} to {option}?",
        typed=app_word,
        verb="Roll back",
        tooltip="Deploy an earlier release of the app again, without a build",
        noun="app",
        key="b",
        views=_VIEWS,
        name=app_name,
        consequence=_goes_back,
        order=_back,
        danger=Danger.DESTRUCTIVE,
        reads=Reads.RELEASES,
        footer=True,
    ),
    Action[OfApp](
        id="app.stop",
        title="Stop app",
        ask="Stop {name}?",
        ask_many="Stop {count} apps?",
        typed=app_word,
        verb="Stop",
        tooltip="Stop apps on their nodes",
        noun="app",
        key="x",
        views=_PLACED,
        name=app_name,
        refusal=_unplaced,
        consequence=lambda _of, _scene: t("Its page answers no more until it is deployed again."),
        order=lambda of, scene, _: _stopped(of, scene),
        danger=Danger.DESTRUCTIVE,
        several=True,
        footer=True,
    ),
    Action[OfApp](
        id="app.delete",
        title="Delete app",
        ask="Delete {name}?",
        ask_many="Delete {count} apps?",
        typed=app_word,
        verb="Delete",
        tooltip="Delete apps everywhere and for good, as their owners could",
        noun="app",
        key="D",
        views=("apps",),
        name=_whole_name,
        refusal=_undeletable,
        consequence=lambda _of, _scene: t(
            "This cannot be undone: its files, repository, container, data, releases and images are removed "
            "wherever they are."
        ),
        order=lambda of, scene, _: DeleteForOwner(of.app_id, _owner(of, scene)),
        danger=Danger.DESTRUCTIVE,
        several=True,
    ),
    Action[OfApp](
        id="app.reassign",
        title="Reassign",
        ask="Reassign {name} to {option}?",
        ask_many="Reassign {count} apps to {option}?",
        verb="Reassign",
        tooltip="Place apps on another node; their containers follow with their next deployment",
        noun="app",
        key="m",
        views=_PLACED,
        name=app_name,
        refusal=_unmovable,
        consequence=lambda _of, _scene: t("Its container follows with the app's next deployment."),
        order=_moved,
        several=True,
        reads=Reads.NODES,
        footer=True,
    ),
    Action[OfApp](
        id="release.pin",
        title="Pin release",
        ask="Keep an image of {name} for good: {option}?",
        verb="Pin",
        tooltip="Keep the image of a release for good",
        noun="app",
        key="p",
        views=_VIEWS,
        name=app_name,
        order=lambda of, _, option: _pinned(of, option, pinned=True),
        reads=Reads.RELEASES,
    ),
    Action[OfApp](
        id="release.unpin",
        title="Unpin release",
        ask="Keep an image of {name} no longer for good: {option}?",
        verb="Unpin",
        tooltip="Keep the image of a release only as long as it is one of the newest",
        noun="app",
        views=_VIEWS,
        name=app_name,
        order=lambda of, _, option: _pinned(of, option, pinned=False),
        reads=Reads.RELEASES,
    ),
    Action[OfApp](
        id="operation.retry",
        title="Retry operation",
        ask="Try now what a node has yet to do for {name}: {option}?",
        verb="Try now",
        tooltip="Have a stop or delete of the app, that its node has yet to do, tried now",
        noun="app",
        views=_VIEWS,
        name=app_name,
        order=lambda of, _, option: _turned(of, option, abandon=False),
        reads=Reads.OPERATIONS,
    ),
    Action[OfApp](
        id="operation.abandon",
        title="Abandon operation",
        ask="Give up what a node has yet to do for {name}: {option}?",
        typed=app_word,
        verb="Give up",
        tooltip="Give up a stop or delete of the app that its node has yet to do",
        noun="app",
        views=_VIEWS,
        name=app_name,
        consequence=lambda _of, _scene: t("The app may go on running on that node, and nobody stops it."),
        order=lambda of, _, option: _turned(of, option, abandon=True),
        danger=Danger.DESTRUCTIVE,
        reads=Reads.OPERATIONS,
    ),
)
