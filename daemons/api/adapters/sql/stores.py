"""Users, apps and keys in tables. Whatever counts a user's rows locks the user's row first, so limits are exact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from daemons.api.domain.access import NotFound
from daemons.api.domain.apps import App, AppLimit, Draft, NameTaken, untitled
from daemons.api.domain.slugs import SlugTaken
from daemons.api.ports import KeyLimit, KeyTaken, StoredKey, User
from daemons.kit.sql import Database, Duplicate, Row, Session, load_queries
from protocol.api import RepoStatus

QUERIES: Final = load_queries(Path(__file__).parent)
MIGRATIONS: Final = Path(__file__).parent / "migrations"
COMPONENT: Final = "api"


class SqlUsers:
    """Table `fun_ai_user`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure(self, user_id: int, name: str) -> None:
        """Make the user unless it is there."""

        async def work(session: Session) -> None:
            if await session.row("user", id=user_id) is None:
                try:
                    await session.change("add_user", id=user_id, user_name=name, now=await session.now())
                except Duplicate:
                    return

        await self._database.transact(work)

    async def user(self, user_id: int) -> User | None:
        """One user."""

        async def work(session: Session) -> User | None:
            row = await session.row("user", id=user_id)
            return User(int(row["id"]), str(row["user_name"]), int(row["user_type"])) if row else None

        return await self._database.transact(work)


class SqlApps:
    """Table `fun_ai_app`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, user_id: int, draft: Draft, key: str | None, limit: int) -> App:
        """Make an app, or answer the one that the same idempotency key made. Raises AppLimit, NameTaken."""

        async def work(session: Session) -> App:
            await session.row("lock_user", id=user_id)
            made = await session.row("app_by_key", user_id=user_id, create_key=key) if key else None
            return _app(made) if made else await _add_app(session, user_id, draft, key, limit)

        return await self._database.transact(work)

    async def app(self, app_id: int) -> App | None:
        """One app."""

        async def work(session: Session) -> App | None:
            row = await session.row("app", id=app_id)
            return _app(row) if row else None

        return await self._database.transact(work)

    async def update(self, app: App, draft: Draft) -> App:
        """Change what the draft names, all of it or nothing. Raises NameTaken, SlugTaken, NotFound."""
        name = draft.name if draft.name is not None else app.name
        description = draft.description if draft.description is not None else app.description
        kind = draft.type if draft.type is not None else app.type

        async def work(session: Session) -> App:
            # How many rows changed does not say whether there is one: one may stay as it was.
            found, now = await session.row("lock_app", id=app.id), await session.now()
            if found is None:
                raise NotFound(f"app {app.id} was deleted")
            try:
                await session.change(
                    "update_app", id=app.id, app_name=name, app_description=description, app_type=kind, now=now
                )
            except Duplicate:
                raise NameTaken(f"appName: you already have an app called {name}") from None
            if draft.slug is not None:
                await _take_slug(session, app.id, draft.slug)
            row = await session.row("app", id=app.id)
            if row is None:
                raise NotFound(f"app {app.id} was deleted")
            return _app(row)

        return await self._database.transact(work)

    async def of_user(self, user_id: int) -> Sequence[App]:
        """A user's apps, oldest first."""

        async def work(session: Session) -> Sequence[App]:
            return [_app(row) for row in await session.rows("apps_of_user", user_id=user_id)]

        return await self._database.transact(work)

    async def every(self) -> Sequence[App]:
        """All apps, oldest first."""

        async def work(session: Session) -> Sequence[App]:
            return [_app(row) for row in await session.rows("all_apps")]

        return await self._database.transact(work)

    async def slug_holder(self, slug: str) -> int | None:
        """The app that has the slug; of a deleted one until its deletion has ended."""

        async def work(session: Session) -> int | None:
            row = await session.row("slug_holder", slug=slug)
            return int(row["app_id"]) if row else None

        return await self._database.transact(work)

    async def take_place(self, app: App, limit: int) -> int | None:
        """Take, or take anew, a place for the live app: epoch milliseconds of the database, or None: all are taken.
        Raises NotFound when the app is gone."""

        async def work(session: Session) -> int | None:
            await session.row("lock_user", id=app.user_id)
            row = await session.row("count_live", user_id=app.user_id, id=app.id)
            if row is not None and int(row["taken"]) >= limit:
                return None
            now = await session.now()
            if not await session.change("take_place", id=app.id, now=now):
                raise NotFound(f"app {app.id} was deleted")
            return now

        return await self._database.transact(work)

    async def leave_place(self, app_id: int, taken_at: int) -> bool:
        """Give the place back if nobody took it anew since."""

        async def work(session: Session) -> bool:
            return await session.change("leave_place", id=app_id, taken_at=taken_at) == 1

        return await self._database.transact(work)

    async def mark_stopped(self, app_id: int, job_id: str | None) -> None:
        """Note the app's newest ended job at the moment of its stop."""

        async def work(session: Session) -> None:
            await session.change("mark_stopped", id=app_id, job_id=job_id, now=await session.now())

        await self._database.transact(work)

    async def now(self) -> int:
        """The database's clock, epoch milliseconds."""
        return await self._database.now()


class SqlKeys:
    """Table `fun_ai_user_git_key`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: int, title: str, public_key: str, fingerprint: str, limit: int) -> StoredKey:
        """Store a key. Raises KeyTaken, KeyLimit."""

        async def work(session: Session) -> StoredKey:
            await session.row("lock_user", id=user_id)
            held = await session.row("count_keys", user_id=user_id)
            if held is not None and int(held["held"]) >= limit:
                raise KeyLimit(f"a user has at most {limit} keys; delete one first")
            now = await session.now()
            try:
                number = await session.insert(
                    "add_key", user_id=user_id, title=title, public_key=public_key, fingerprint=fingerprint, now=now
                )
            except Duplicate:
                raise KeyTaken("this key is already registered; make a key pair of your own") from None
            return StoredKey(number, user_id, title, public_key, fingerprint, now)

        return await self._database.transact(work)

    async def of_user(self, user_id: int) -> Sequence[StoredKey]:
        """A user's keys, oldest first."""

        async def work(session: Session) -> Sequence[StoredKey]:
            return [_key(row) for row in await session.rows("keys_of_user", user_id=user_id)]

        return await self._database.transact(work)

    async def every(self) -> Sequence[StoredKey]:
        """All keys, oldest first."""

        async def work(session: Session) -> Sequence[StoredKey]:
            return [_key(row) for row in await session.rows("all_keys")]

        return await self._database.transact(work)

    async def remove(self, user_id: int, key_id: int) -> bool:
        """Delete a key of this user; False when there is none."""

        async def work(session: Session) -> bool:
            return await session.change("remove_key", id=key_id, user_id=user_id) == 1

        return await self._database.transact(work)


async def _add_app(session: Session, user_id: int, draft: Draft, key: str | None, limit: int) -> App:
    names = {str(row["app_name"]) for row in await session.rows("apps_of_user", user_id=user_id)}
    if len(names) >= limit:
        raise AppLimit(f"a user has at most {limit} apps")
    name = draft.name or untitled(names)
    now = await session.now()
    try:
        number = await session.insert(
            "add_app",
            user_id=user_id,
            app_name=name,
            app_description=draft.description,
            app_type=draft.type,
            create_key=key,
            now=now,
        )
    except Duplicate:
        raise NameTaken(f"appName: you already have an app called {name}") from None
    return App(number, user_id, name, draft.description, draft.type, None, None, now, now)


async def _take_slug(session: Session, app_id: int, slug: str) -> None:
    await session.change("leave_slug", app_id=app_id)
    if not slug:
        return
    try:
        await session.change("hold_slug", slug=slug, app_id=app_id)
    except Duplicate:
        raise SlugTaken(slug) from None


def _app(row: Row) -> App:
    return App(
        id=int(row["id"]),
        user_id=int(row["user_id"]),
        name=str(row["app_name"]),
        description=row["app_description"],
        type=row["app_type"],
        live_since=int(row["live_since"]) if row["live_since"] is not None else None,
        stopped_job=row["stopped_job"],
        created_at=int(row["create_time"]),
        updated_at=int(row["update_time"]),
        repo_status=RepoStatus(row["repo_status"]),
        repo_reason=row["repo_reason"],
        slug=row["slug"],
    )


def _key(row: Row) -> StoredKey:
    return StoredKey(
        id=int(row["id"]),
        user_id=int(row["user_id"]),
        title=str(row["title"]),
        public_key=str(row["public_key"]),
        fingerprint=str(row["fingerprint"]),
        created_at=int(row["create_time"]),
    )
