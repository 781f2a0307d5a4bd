"""What people may see and change in the database of an app of theirs. Who may ask is settled before it comes here."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from daemons.kit.mongo.documents import (
    Document,
    Purpose,
    document,
    document_id,
    new_document,
    order,
    own_collection,
    update,
    validator,
)
from daemons.kit.mongo.ports import Changed, Documents, Page, QueryRefused

#: So many callers at once may keep a server busy and hold an answer in memory; others wait.
AT_ONCE: Final = 4


class NoDatabaseServer(Exception):
    """This node has no database server."""


class Explorer:
    """Texts become documents here, and names of collections are held to be the app's own.

    Every method raises BadDocument, SystemCollection, DatabaseError and QueryRefused.
    """

    def __init__(self, documents: Documents, turn: asyncio.Semaphore) -> None:
        """Every call waits for its `turn`."""
        self._documents = documents
        self._turn = turn

    async def collections(self, database: str) -> Sequence[str]:
        """By name."""
        async with self._turn:
            return await self._documents.collections(database)

    async def find(
        self,
        database: str,
        collection: str,
        wanted: str | None,
        projection: str | None,
        by: str | None,
        *,
        skip: int,
        limit: int,
    ) -> Page:
        """The documents that fit the filter."""
        own, which = own_collection(collection), document(wanted, Purpose.FILTER)
        shown, sort = document(projection, Purpose.PROJECTION), order(by)
        async with self._turn:
            return await self._documents.find(database, own, which, shown, sort, skip=skip, limit=limit)

    async def get(self, database: str, collection: str, id_text: str) -> Document | None:
        """The document with the id."""
        own, which = own_collection(collection), {"_id": document_id(id_text)}
        async with self._turn:
            page = await self._documents.find(database, own, which, {}, {}, skip=0, limit=1)
        if page.truncated:
            raise QueryRefused("the document is too large to be shown; find some of its fields with a projection")
        return page.items[0] if page.items else None

    async def insert(self, database: str, collection: str, text: str) -> Any:
        """The new document's id."""
        own, new = own_collection(collection), new_document(text)
        async with self._turn:
            return await self._documents.insert(database, own, new)

    async def update(self, database: str, collection: str, id_text: str, text: str, *, upsert: bool) -> Changed:
        """Change one document."""
        own, change = own_collection(collection), update(text)
        async with self._turn:
            return await self._documents.update(database, own, document_id(id_text), change, upsert=upsert)

    async def delete(self, database: str, collection: str, id_text: str) -> int:
        """How many documents went: one or none."""
        own = own_collection(collection)
        async with self._turn:
            return await self._documents.delete(database, own, document_id(id_text))

    async def create(self, database: str, collection: str, fields: str | None, *, strict: bool) -> bool:
        """Whether the collection is new."""
        own, rules = own_collection(collection), validator(fields)
        async with self._turn:
            return await self._documents.create(database, own, rules, strict=strict)
