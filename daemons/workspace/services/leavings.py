"""Takes away what apps leave behind: of one app that was deleted, and of all that the platform no longer knows.

An app that was deleted ends first: its run, its terminals, its uploads and the keys that were lent for it; other apps
of the same user go on. Its folder has another name at once, and only then is removed, so that what cannot be removed
is in nobody's way, is told, and is tried again with the next order. Apps that are merely unknown are left alone while
somebody uses them.
"""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from daemons.kit.clock import Clock
from daemons.kit.engine.errors import EngineError
from daemons.kit.mongo.ports import AccountError
from daemons.workspace.domain.files import FileError
from daemons.workspace.domain.leavings import (
    Existing,
    InUse,
    Leaving,
    app_of,
    aside_name,
    believe,
    is_former,
    of_app,
    orphans,
)
from daemons.workspace.domain.runs import read_log_name
from daemons.workspace.domain.workspaces import Phase, admitted
from daemons.workspace.ports import HomeError, RecordError
from daemons.workspace.ports.databases import AppDatabases, DatabaseLeft
from daemons.workspace.ports.git import KeysUnavailable
from daemons.workspace.ports.leavings import AppFolders, AppLoans
from daemons.workspace.ports.runs import RunLogs
from daemons.workspace.services.git import Git, GitBusy
from daemons.workspace.services.runs import Runs
from daemons.workspace.services.terminals import Terminals
from daemons.workspace.services.uploads import Uploads
from daemons.workspace.services.workspaces import Workspaces

logger = logging.getLogger(__name__)

_APPS: Final = ("apps",)
#: Whose files are another node's, or are on their way.
_ELSEWHERE: Final = (Phase.LEAVING, Phase.ARRIVING, Phase.MOVED)
#: Of each app, in folders of its user: what npm fetched, and what pip installed.
_BESIDE: Final = (".npm-cache", ".venv")
_FAILURES: Final = (EngineError, HomeError, RecordError, FileError, KeysUnavailable, AccountError)


@dataclass(slots=True)
class Cleared:
    """What was taken away, and what could not be: `quarantined` are folders of `apps` that wait for the next try."""

    folders: int = 0
    logs: int = 0
    uploads: int = 0
    keys: int = 0
    databases: int = 0
    quarantined: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Cleaned(Cleared):
    """The same of many apps; `kept` are orphans that somebody uses, by user, app and use."""

    kept: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Users:
    """Who may be working on an app."""

    workspaces: Workspaces
    runs: Runs
    terminals: Terminals
    uploads: Uploads
    git: Git | None = None


@dataclass(frozen=True, slots=True)
class Places:
    """Where apps leave something."""

    folders: AppFolders
    logs: RunLogs
    loans: AppLoans | None = None
    databases: AppDatabases | None = None


class Leavings:
    """The use cases. Both also raise EngineError, HomeError, RecordError and AccountError."""

    def __init__(self, users: Users, places: Places, clock: Clock) -> None:
        self._users = users
        self._places = places
        self._clock = clock

    async def delete_app(self, user_id: str, app_id: str, epoch: int | None = None) -> Cleared:
        """Nothing of the app is left, or what is left is told. Raises GitBusy, StaleEpoch, MovedAway."""
        cleared = Cleared()
        if (workspace := self._users.workspaces.find(user_id)) is not None:
            admitted(workspace, epoch, self._now())
        if user_id not in await self._places.folders.users():
            await self._remove_database(user_id, app_id, cleared)
            return cleared
        async with self._alone(user_id, app_id, ending=True):
            await self._users.terminals.close_app(user_id, app_id)
            cleared.uploads = await self._users.uploads.give_up_app(user_id, app_id)
            cleared.keys = await self._places.loans.take_back(user_id, app_id) if self._places.loans else 0
            await self._remove_database(user_id, app_id, cleared)
            await self._set_aside(user_id, app_id)
        former = of_app(await self._places.folders.found(user_id), app_id)
        await self._remove(user_id, app_id, former, cleared)
        names = await self._places.logs.names(user_id)
        logs = [name for name in names if (said := read_log_name(name)) is not None and said.app_id == app_id]
        await self._remove_logs(user_id, logs, cleared)
        logger.info("an app was removed", extra={"user_id": user_id, "app_id": app_id, "left": cleared.quarantined})
        return cleared

    async def clean(self, known: Existing, *, confirmed: bool) -> Cleaned:
        """Nothing is left of apps that are not known. Raises TooManyOrphans, and then nothing was touched."""
        cleaned, gone = Cleaned(), dict[str, tuple[Sequence[Leaving], Sequence[Leaving]]]()
        for user_id in await self._places.folders.users():
            if self._is_elsewhere(user_id):
                continue
            try:
                found = await self._places.folders.found(user_id)
            except _FAILURES as error:
                cleaned.problems.append(f"user {user_id}: {error}")
                continue
            gone[user_id] = found, orphans(found, known)
        alone = await self._databases_alone({user_id: found for user_id, (found, _) in gone.items()})
        believe(_together(gone, alone, known), confirmed=confirmed)
        for user_id, (_, entries) in gone.items():
            try:
                if not self._is_elsewhere(user_id):
                    await self._clean(user_id, entries, known, cleaned)
            except _FAILURES as error:
                cleaned.problems.append(f"user {user_id}: {error}")
        await self._clean_databases(alone, known, cleaned)
        return cleaned

    def _is_elsewhere(self, user_id: str) -> bool:
        """Or on its way: what is here is the move's."""
        workspace = self._users.workspaces.find(user_id)
        return workspace is not None and workspace.phase in _ELSEWHERE

    async def _clean(self, user_id: str, entries: Sequence[Leaving], known: Existing, cleaned: Cleaned) -> None:
        for app_id in dict.fromkeys(app_of(each.name) for each in entries):
            former = [each.name for each in entries if app_of(each.name) == app_id and is_former(each.name)]
            if any(each.name == app_id for each in entries):
                try:
                    former.append(await self._retire(user_id, app_id, cleaned))
                except (InUse, GitBusy) as use:
                    cleaned.kept.append((user_id, app_id, str(use)))
                    continue
            await self._remove(user_id, app_id, former, cleaned)
        logs = []
        for name in await self._places.logs.names(user_id):
            said = read_log_name(name)
            if said is not None and known.lacks(said.app_id, said.at_ms):
                logs.append(name)
        kept = {app_id for user, app_id, _ in cleaned.kept if user == user_id}
        await self._remove_logs(user_id, [name for name in logs if _app_of_log(name) not in kept], cleaned)

    async def _databases_alone(self, folders: Mapping[str, Sequence[Leaving]]) -> Mapping[str, Sequence[Leaving]]:
        """Databases of apps that have no folder here any more, by user; given is who has which."""
        if self._places.databases is None:
            return {}
        found, users = {}, await self._places.folders.users()
        for user_id, entries in (await self._places.databases.made()).items():
            if user_id in folders or not (user_id in users or self._is_elsewhere(user_id)):
                there = {each.name for each in folders.get(user_id, ())}
                found[user_id] = [each for each in entries if each.name not in there]
        return found

    async def _clean_databases(self, found: Mapping[str, Sequence[Leaving]], known: Existing, cleaned: Cleaned) -> None:
        for user_id, app_id in [(user, each.name) for user in found for each in orphans(found[user], known)]:
            try:
                async with self._unused(user_id, app_id):
                    await self._remove_database(user_id, app_id, cleaned)
            except (InUse, GitBusy) as use:
                cleaned.kept.append((user_id, app_id, str(use)))
            except _FAILURES as error:
                cleaned.problems.append(f"user {user_id}: {error}")

    async def _remove_database(self, user_id: str, app_id: str, cleared: Cleared) -> None:
        if self._places.databases is None:
            return
        try:
            cleared.databases += await self._places.databases.take_away(user_id, app_id)
        except (DatabaseLeft, AccountError) as error:
            cleared.problems.append(str(error))

    async def _retire(self, user_id: str, app_id: str, cleaned: Cleaned) -> str:
        """Set aside what nobody uses. Raises InUse, GitBusy."""
        async with self._unused(user_id, app_id):
            await self._remove_database(user_id, app_id, cleaned)
            return await self._set_aside(user_id, app_id)

    @asynccontextmanager
    async def _unused(self, user_id: str, app_id: str) -> AsyncIterator[None]:
        """Nobody uses it, or raises InUse, GitBusy."""
        if any(session.app_id == app_id for session in self._users.terminals.of(user_id)):
            raise InUse("a terminal is open in it")
        if await self._users.uploads.under_way(user_id, app_id):
            raise InUse("a file is being uploaded to it")
        async with self._alone(user_id, app_id, ending=False):
            yield

    @asynccontextmanager
    async def _alone(self, user_id: str, app_id: str, *, ending: bool) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if self._users.git is not None:
                stack.enter_context(self._users.git.alone(user_id, app_id))
            await stack.enter_async_context(self._users.runs.without(user_id, app_id, ending=ending))
            yield

    async def _set_aside(self, user_id: str, app_id: str) -> str:
        name = aside_name(app_id, self._now())
        await self._places.folders.set_aside(user_id, app_id, name)
        return name

    async def _remove(self, user_id: str, app_id: str, former: Sequence[str], cleared: Cleared) -> None:
        for name in former:
            try:
                cleared.folders += await self._places.folders.remove(user_id, _APPS, name)
            except FileError as error:
                cleared.quarantined.append(f"{user_id}/apps/{name}")
                cleared.problems.append(f"apps/{name} of user {user_id} could not be removed: {error}")
        for folder in _BESIDE:
            try:
                await self._places.folders.remove(user_id, (folder,), app_id)
            except FileError as error:
                cleared.problems.append(f"{folder}/{app_id} of user {user_id} could not be removed: {error}")

    async def _remove_logs(self, user_id: str, names: Sequence[str], cleared: Cleared) -> None:
        if names:
            await self._places.logs.remove(user_id, names)
            cleared.logs += len(names)

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


def _together(
    gone: Mapping[str, tuple[Sequence[Leaving], Sequence[Leaving]]],
    databases: Mapping[str, Sequence[Leaving]],
    known: Existing,
) -> Iterator[tuple[Sequence[Leaving], Sequence[Leaving]]]:
    """What was found of each user, and what of it is orphaned: entries of `apps`, and databases without one."""
    for user_id in {*gone, *databases}:
        found, orphaned = gone.get(user_id, ((), ()))
        more = databases.get(user_id, ())
        yield (*found, *more), (*orphaned, *orphans(more, known))


def _app_of_log(name: str) -> str | None:
    said = read_log_name(name)
    return said.app_id if said is not None else None
