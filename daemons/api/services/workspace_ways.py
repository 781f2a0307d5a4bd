"""Which node a call goes to: that of the token's user, and only about apps that are the user's own."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from daemons.api.domain.access import NotFound, Subject
from daemons.api.domain.apps import number_of
from daemons.api.domain.workspaces import (
    NoWorkspace,
    Placement,
    PlacementPolicy,
    WorkspaceNode,
    WorkspaceNodeDisabled,
    choose,
)
from daemons.api.ports import AppStore
from daemons.api.ports.workspaces import WorkspaceStore
from daemons.api.services.ownership import Ownership

#: Streams and terminals included.
_MOST_CALLS: Final = 128
_LONG_COST: Final = 24

Way = tuple[Placement, WorkspaceNode]


class TooManyCalls(Exception):
    """The user has more calls open than anybody needs."""


class Ways:
    """Finds the user's node, and gives one to who needs it."""

    def __init__(self, store: WorkspaceStore, apps: AppStore, ownership: Ownership, policy: PlacementPolicy) -> None:
        self._store = store
        self._apps = apps
        self._ownership = ownership
        self._policy = policy
        self._open: Counter[int] = Counter()

    async def lead(self, subject: Subject, app_id: str | None, *, makes: bool) -> Way:
        """The user's node; a call that makes something gets one chosen. Raises NotFound for an app that is not the
        user's, NoWorkspace, NoWorkspaceNode, WorkspaceNodeDisabled."""
        if app_id is not None:
            await self._ownership.app(subject, app_id)
        found = await self._store.placement(subject.user_id)
        if found is None and makes:
            found = await self._store.place(
                subject.user_id, lambda nodes, users, now: choose(nodes, users, self._policy, now)
            )
        return _served(found)

    async def of_user(self, user_id: str) -> WorkspaceNode:
        """Where a gateway finds the user's previews. Raises NoWorkspace, WorkspaceNodeDisabled."""
        return _served(await self._store.look(int(user_id)) if len(user_id) < 19 else None)[1]

    async def of_app(self, app_id: str) -> WorkspaceNode:
        """Where a gateway finds the app's preview. Raises NotFound, NoWorkspace, WorkspaceNodeDisabled."""
        number = number_of(app_id)
        app = await self._apps.app(number) if number is not None else None
        if app is None:
            raise NotFound(f"there is no app {app_id}")
        return await self.of_user(str(app.user_id))

    @contextmanager
    def counted(self, subject: Subject, *, long: bool) -> Iterator[None]:
        """One call of the user's is open; a long document is held in memory and counts as many. Raises TooManyCalls."""
        cost = _LONG_COST if long else 1
        if self._open[subject.user_id] + cost > _MOST_CALLS:
            raise TooManyCalls("you have too many calls, streams and terminals open; close some")
        self._open[subject.user_id] += cost
        try:
            yield
        finally:
            self._open[subject.user_id] -= cost
            if not self._open[subject.user_id]:
                del self._open[subject.user_id]


def _served(found: Way | None) -> Way:
    if found is None:
        raise NoWorkspace("you have no workspace yet; POST /api/fun-ai/workspace/container/ensure makes one")
    if not found[1].enabled:
        raise WorkspaceNodeDisabled(f"your workspace's node {found[1].name} is switched off for now")
    return found
