"""In-memory twins of the ports to a database server and to its accounts. One contract suite runs over them and over the
driver against `mongo_server`."""

import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from daemons.kit.mongo.accounts import Account
from daemons.kit.mongo.documents import Document
from daemons.kit.mongo.ports import AccountError, Changed, DatabaseError, Page, QueryRefused
from tests.support.documents import Collection, Wrong

_MARKER = "__funai_meta__"
_MOST_BYTES = 2 * 1024**2
_number = itertools.count(1)


def _new_id() -> Any:
    return {"$oid": f"{next(_number):024x}"}


@dataclass
class TwinDatabases:
    """Users by realm and name, with password and database; `away` is a server that does not answer."""

    users: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    databases: dict[str, dict[str, Collection]] = field(default_factory=dict)
    away: bool = False
    calls: list[str] = field(default_factory=list)

    def _called(self, method: str) -> None:
        self.calls.append(method)
        if self.away:
            raise DatabaseError("the database server cannot be reached: connection refused")

    def collection(self, database: str, name: str) -> Collection:
        """The collection, made when it is not there."""
        return self.databases.setdefault(database, {}).setdefault(name, Collection(_new_id))

    async def ensure(self, account: Account) -> None:
        self._called("ensure")
        self.users[(account.realm, account.user)] = (account.password, account.database)

    async def mark(self, database: str) -> None:
        self._called("mark")
        self.collection(database, _MARKER)

    async def revoke(self, account: Account) -> None:
        self._called("revoke")
        self.users = {key: user for key, user in self.users.items() if key[1] != account.user}

    async def drop(self, database: str) -> None:
        self._called("drop")
        self.databases.pop(database, None)

    @asynccontextmanager
    async def opened(self, account: Account) -> AsyncIterator["TwinDoor"]:
        yield TwinDoor(self, account)

    async def collections(self, database: str) -> Sequence[str]:
        self._called("collections")
        names = self.databases.get(database, {})
        return sorted(name for name in names if name != _MARKER and not name.startswith("system."))

    async def find(
        self,
        database: str,
        collection: str,
        wanted: Document,
        projection: Document,
        order: Document,
        *,
        skip: int,
        limit: int,
    ) -> Page:
        self._called("find")
        there = self.databases.get(database, {}).get(collection, Collection(_new_id))
        try:
            found = there.find(wanted, projection, order, skip, limit)
        except Wrong as wrong:
            raise QueryRefused(f"the database server refused it: {wrong}") from None
        size = 0
        for index, each in enumerate(found):
            size += len(str(each))
            if size > _MOST_BYTES:
                return Page(tuple(found[:index]), truncated=True)
        return Page(tuple(found))

    async def insert(self, database: str, collection: str, document: Document) -> Any:
        self._called("insert")
        try:
            return self.collection(database, collection).insert(document)
        except Wrong as wrong:
            raise QueryRefused(f"the database server refused it: {wrong}") from None

    async def update(
        self, database: str, collection: str, document_id: Any, update: Document, *, upsert: bool
    ) -> Changed:
        self._called("update")
        try:
            found = self.collection(database, collection)
            return Changed(*found.update({"_id": document_id}, update, upsert=upsert))
        except Wrong as wrong:
            raise QueryRefused(f"the database server refused it: {wrong}") from None

    async def delete(self, database: str, collection: str, document_id: Any) -> int:
        self._called("delete")
        return self.collection(database, collection).delete({"_id": document_id})

    async def create(self, database: str, collection: str, validator: Document, *, strict: bool) -> bool:
        self._called("create")
        if collection in self.databases.get(database, {}):
            return False
        made = self.collection(database, collection)
        made.validator, made.strict = validator, strict
        return True


@dataclass
class TwinDoor:
    """What one account may do: the database that is its own, while it is known."""

    twin: TwinDatabases
    account: Account

    def _admit(self, database: str) -> None:
        user = self.twin.users.get((self.account.realm, self.account.user))
        if user is None or user[0] != self.account.password:
            raise DatabaseError("the database server refused it: Authentication failed.")
        if user[1] != database:
            raise DatabaseError(f"the database server refused it: not authorized on {database} to execute command")

    async def collections(self, database: str) -> Sequence[str]:
        self._admit(database)
        return await self.twin.collections(database)

    async def find(
        self,
        database: str,
        collection: str,
        wanted: Document,
        projection: Document,
        order: Document,
        *,
        skip: int,
        limit: int,
    ) -> Page:
        self._admit(database)
        return await self.twin.find(database, collection, wanted, projection, order, skip=skip, limit=limit)

    async def insert(self, database: str, collection: str, document: Document) -> Any:
        self._admit(database)
        return await self.twin.insert(database, collection, document)

    async def update(
        self, database: str, collection: str, document_id: Any, update: Document, *, upsert: bool
    ) -> Changed:
        self._admit(database)
        return await self.twin.update(database, collection, document_id, update, upsert=upsert)

    async def delete(self, database: str, collection: str, document_id: Any) -> int:
        self._admit(database)
        return await self.twin.delete(database, collection, document_id)

    async def create(self, database: str, collection: str, validator: Document, *, strict: bool) -> bool:
        self._admit(database)
        return await self.twin.create(database, collection, validator, strict=strict)


@dataclass
class TwinAccounts:
    """Accounts that survive the agent but not the test; `full` refuses writes."""

    accounts: dict[tuple[str, str], Account] = field(default_factory=dict)
    full: bool = False

    async def load(self) -> Sequence[Account]:
        return list(self.accounts.values())

    async def save(self, account: Account) -> None:
        if self.full:
            raise AccountError("accounts of databases cannot be written: no space left on device")
        self.accounts[account.key] = account

    async def remove(self, account: Account) -> None:
        self.accounts.pop(account.key, None)
