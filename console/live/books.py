"""Where pages read what the snapshot does not hold, as narrow ports, and how each topic is read from them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from console.live import topics
from protocol.accounts import AccountView
from protocol.api import AppDeletionView, AppInfo
from protocol.app_details import AppDetail
from protocol.apps import AppPage, AppView
from protocol.audit import AuditPage, AuditQuery
from protocol.base import Wire
from protocol.drains import DrainDetail, DrainPage, DrainPreview, PreviewDrain
from protocol.jobs import JobPage, JobStatus
from protocol.operations import OperationPage, OperationState
from protocol.releases import ReleasePage
from protocol.replicas import SingletonView
from protocol.running import NodeStats
from protocol.webhooks import DeliveryPage, DeliveryState
from protocol.workspace_moves import WorkspaceMoves
from protocol.workspace_nodes import WorkspaceNodes, WorkspacePlacements
from protocol.workspace_operators import MOST_ASKED, WorkspaceStanding, WorkspaceStandings

PAGE: Final = 200
_MOST_APPS: Final = 20_000
_MOST_WORKSPACES: Final = 20_000
_MOST_ACCOUNTS: Final = 20_000
_ACCOUNTS_PAGE: Final = 1000


class Pending(Protocol):
    """What is to be done. Every call raises ClientError."""

    async def operations(
        self,
        *,
        state: OperationState | None = None,
        app_id: str | None = None,
        user_id: str | None = None,
        node_id: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> OperationPage:
        """Stops and deletes, newest first."""
        ...

    async def webhooks(
        self,
        *,
        state: DeliveryState | None = None,
        app_id: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeliveryPage:
        """Deliveries of results, newest first."""
        ...


class Ledgers(Pending, Protocol):
    """What was done and is to be done. Every call raises ClientError."""

    async def audit(self, wanted: AuditQuery | None = None, *, cursor: str | None = None, limit: int = 50) -> AuditPage:
        """Changes, newest first; a page may be empty and yet name a next one."""
        ...

    async def singletons(self) -> tuple[SingletonView, ...]:
        """Which replica does what only one does."""
        ...


class Plans(Protocol):
    """What nodes are emptied by. Every call raises ClientError."""

    async def drains(self, *, cursor: str | None = None, limit: int = 50) -> DrainPage:
        """Plans, newest first."""
        ...

    async def preview_drain(self, order: PreviewDrain) -> DrainPreview:
        """What a drain would do; nothing is changed."""
        ...


class Drains(Plans, Protocol):
    """Plans with their moves. Every call raises ClientError."""

    async def drain_plan(self, drain_id: int) -> DrainDetail:
        """One plan with its moves."""
        ...


class Histories(Protocol):
    """One app and what it ran. Every call raises ClientError."""

    async def app(self, app_id: str) -> AppView:
        """One app."""
        ...

    async def releases(self, app_id: str, *, cursor: str | None = None, limit: int = 50) -> ReleasePage:
        """What an app ran, newest first."""
        ...


class Catalogue(Histories, Protocol):
    """Apps and what they use. Every call raises ClientError."""

    async def apps(
        self, *, user_id: str | None = None, node_id: int | None = None, cursor: str | None = None, limit: int = 50
    ) -> AppPage:
        """Apps by id."""
        ...

    async def page(
        self,
        *,
        cursor: str | None = None,
        limit: int = 50,
        status: JobStatus | None = None,
        app_id: str | None = None,
        user_id: str | None = None,
    ) -> JobPage:
        """Jobs, newest first."""
        ...

    async def app_stats(self, app_id: str) -> NodeStats:
        """What an app uses, in a list of one."""
        ...

    async def node_stats(self, name: str) -> NodeStats:
        """What every app of a node uses."""
        ...


class Home(Wire):
    """On which workspace node a user lives."""

    user_id: str
    node: str


class WorkspaceBooks(Protocol):
    """Users' workspaces and the nodes that they live on. Every call raises ClientError."""

    async def placements(self, node_id: int, offset: int = 0, limit: int = 200) -> WorkspacePlacements:
        """Who lives on a node, without asking it."""
        ...

    async def nodes(self) -> WorkspaceNodes:
        """Every node."""
        ...

    async def workspaces(self, node_id: int, offset: int = 0, limit: int = 200) -> WorkspaceStandings:
        """Some of a node's workspaces, in the order of their users' ids."""
        ...

    async def workspace(self, user_id: str) -> WorkspaceStanding:
        """One user's."""
        ...

    async def moves(
        self, *, node_id: int | None = None, active: bool | None = None, offset: int = 0, limit: int = 100
    ) -> WorkspaceMoves:
        """Moves between nodes, the newest first."""
        ...


class Housed(Protocol):
    """Knows of workspaces too."""

    @property
    def workspace_plane(self) -> WorkspaceBooks:
        """What is known of workspaces. Raises ClientError where nothing is known of the API entry."""
        ...


class EntryBooks(Protocol):
    """What the API entry knows of apps and users. Every call raises ClientError."""

    async def apps(self) -> tuple[AppInfo, ...]:
        """Every user's apps."""
        ...

    async def app_detail(self, app_id: str) -> AppDetail:
        """One app with all that its owner sees, or how its deletion goes."""
        ...

    async def app_deletions(self) -> tuple[AppDeletionView, ...]:
        """Deleted apps of which something is left."""
        ...

    async def accounts(self, offset: int = 0, limit: int = 200) -> tuple[AccountView, ...]:
        """Some accounts, by their users' ids; for admins alone."""
        ...


class Entered(Protocol):
    """Knows of apps and users as the API entry does, too."""

    @property
    def api_plane(self) -> EntryBooks:
        """The API entry's operators' side. Raises ClientError where nothing is known of it."""
        ...


class Books(Ledgers, Drains, Catalogue, Housed, Entered, Protocol):
    """Everything that pages are read from."""


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of a topic by key; `older` is where it goes on, `whole` whether it is all there is."""

    objects: Mapping[str, Wire]
    older: str | None = None
    whole: bool = False


Read = Callable[[Books, str, str | None], Awaitable[Portion]]


@dataclass(frozen=True, slots=True)
class Reader:
    """How a topic is read, and after how many seconds again while it is shown. `follows`: sooner when the event stream
    tells of apps, or something was changed from here: after so many. `spare`: who wants it has something to say
    without it, too. `may_lack`: that there is nothing is an answer, as of an app that never ran."""

    read: Read
    seconds: float
    follows: float | None = None
    may_lack: bool = False
    spare: bool = False


async def _operations(books: Books, _: str, cursor: str | None) -> Portion:
    page = await books.operations(cursor=cursor, limit=PAGE)
    return Portion({str(each.id): each for each in page.items}, page.next_cursor)


async def _webhooks(books: Books, _: str, cursor: str | None) -> Portion:
    page = await books.webhooks(cursor=cursor, limit=PAGE)
    return Portion({str(each.id): each for each in page.items}, page.next_cursor)


async def _drains(books: Books, _: str, cursor: str | None) -> Portion:
    page = await books.drains(cursor=cursor, limit=PAGE)
    return Portion({str(each.id): each for each in page.items}, page.next_cursor)


async def _events(books: Books, _: str, cursor: str | None) -> Portion:
    page = await books.audit(cursor=cursor, limit=PAGE)
    return Portion({str(each.seq): each for each in page.items}, page.next_cursor)


async def _apps(books: Books, _: str, cursor: str | None) -> Portion:
    found: dict[str, Wire] = {}
    while True:
        page = await books.apps(cursor=cursor, limit=PAGE)
        found.update({each.app_id: each for each in page.items})
        cursor = page.next_cursor
        if cursor is None or len(found) >= _MOST_APPS:
            return Portion(found, cursor, whole=cursor is None)


async def _app(books: Books, app_id: str, _: str | None) -> Portion:
    return Portion({app_id: await books.app(app_id)}, whole=True)


async def _releases(books: Books, app_id: str, cursor: str | None) -> Portion:
    page = await books.releases(app_id, cursor=cursor, limit=PAGE)
    return Portion({str(each.number): each for each in page.items}, page.next_cursor)


async def _jobs(books: Books, app_id: str, cursor: str | None) -> Portion:
    page = await books.page(app_id=app_id, cursor=cursor, limit=PAGE)
    return Portion({each.id: each for each in page.items}, page.next_cursor)


async def _moves(books: Books, drain_id: str, _: str | None) -> Portion:
    plan = await books.drain_plan(int(drain_id))
    return Portion({each.app_id: each for each in plan.moves}, whole=True)


async def _plan(books: Books, name: str, _: str | None) -> Portion:
    preview = await books.preview_drain(PreviewDrain(node=name))
    return Portion({name: preview}, whole=True)


async def _node_stats(books: Books, name: str, _: str | None) -> Portion:
    return Portion({each.app_id: each for each in (await books.node_stats(name)).items}, whole=True)


async def _app_stats(books: Books, app_id: str, _: str | None) -> Portion:
    return Portion({each.app_id: each for each in (await books.app_stats(app_id)).items}, whole=True)


async def _workspace_nodes(books: Books, _: str, __: str | None) -> Portion:
    return Portion({str(each.node_id): each for each in (await books.workspace_plane.nodes()).nodes}, whole=True)


async def _workspaces(books: Books, node_id: str, _: str | None) -> Portion:
    """Of one node, or of all of them."""
    plane, found = books.workspace_plane, dict[str, Wire]()
    nodes = [int(node_id)] if node_id else [each.node_id for each in (await plane.nodes()).nodes]
    for node in nodes:
        seen, total = 0, 1
        while seen < total and len(found) < _MOST_WORKSPACES:
            page = await plane.workspaces(node, seen, MOST_ASKED)
            found.update({each.user_id: each for each in page.items})
            seen, total = seen + len(page.items), page.total if page.items else 0
    return Portion(found, whole=True)


async def _homes(books: Books, _: str, __: str | None) -> Portion:
    """Where users live, as the API entry has it written down."""
    plane, found = books.workspace_plane, dict[str, Wire]()
    for node in (await plane.nodes()).nodes:
        seen, total = 0, 1
        while seen < total and len(found) < _MOST_WORKSPACES:
            page = await plane.placements(node.node_id, seen, PAGE)
            found.update({each.user_id: Home(user_id=each.user_id, node=node.name) for each in page.items})
            seen, total = seen + len(page.items), page.total if page.items else 0
    return Portion(found, whole=True)


async def _owned_apps(books: Books, _: str, __: str | None) -> Portion:
    return Portion({str(each.id): each for each in await books.api_plane.apps()}, whole=True)


async def _app_detail(books: Books, app_id: str, _: str | None) -> Portion:
    return Portion({app_id: await books.api_plane.app_detail(app_id)}, whole=True)


async def _deletions(books: Books, _: str, __: str | None) -> Portion:
    return Portion({str(each.app_id): each for each in await books.api_plane.app_deletions()}, whole=True)


async def _accounts(books: Books, _: str, __: str | None) -> Portion:
    found: dict[str, Wire] = {}
    while True:
        page = await books.api_plane.accounts(len(found), _ACCOUNTS_PAGE)
        found.update({str(each.user_id): each for each in page})
        if len(page) < _ACCOUNTS_PAGE or len(found) >= _MOST_ACCOUNTS:
            return Portion(found, whole=True)


async def _workspace(books: Books, user_id: str, _: str | None) -> Portion:
    return Portion({user_id: await books.workspace_plane.workspace(user_id)}, whole=True)


async def _workspace_moves(books: Books, _: str, __: str | None) -> Portion:
    """The newest of each user's."""
    items = (await books.workspace_plane.moves(limit=PAGE)).items
    return Portion({each.user_id: each for each in reversed(items)}, whole=True)


async def _replicas(books: Books, _: str, cursor: str | None) -> Portion:
    return Portion({each.name: each for each in await books.singletons()}, whole=True)


_READERS: Final[Mapping[str, Reader]] = {
    topics.OPERATIONS: Reader(_operations, 10),
    topics.WEBHOOKS: Reader(_webhooks, 10),
    topics.DRAINS: Reader(_drains, 15),
    topics.EVENTS: Reader(_events, 60),
    topics.APPS: Reader(_apps, 15, follows=2),
    topics.OWNED_APPS: Reader(_owned_apps, 15, follows=3, spare=True),
    topics.DELETIONS: Reader(_deletions, 5, follows=1, spare=True),
    topics.ACCOUNTS: Reader(_accounts, 15, follows=1, spare=True),
    topics.HOMES: Reader(_homes, 15, spare=True),
    topics.REPLICAS: Reader(_replicas, 5),
    topics.WORKSPACES: Reader(_workspaces, 5),
    topics.WORKSPACE_NODES: Reader(_workspace_nodes, 5),
    topics.WORKSPACE_MOVES: Reader(_workspace_moves, 5),
    "app": Reader(_app, 5, may_lack=True),
    "app-detail": Reader(_app_detail, 3, follows=1, may_lack=True, spare=True),
    "releases": Reader(_releases, 15),
    "jobs": Reader(_jobs, 30),
    "moves": Reader(_moves, 10),
    "plan": Reader(_plan, 30),
    "node-stats": Reader(_node_stats, 5),
    "app-stats": Reader(_app_stats, 5, may_lack=True),
}


def reader(topic: str) -> Reader:
    """How a topic is read. Raises LookupError for one that there is not."""
    kind, _ = topics.parts(topic)
    found = _READERS.get(kind)
    if found is None:
        raise LookupError(f"there is no topic {topic!r}")
    return found
