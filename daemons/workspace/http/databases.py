"""The explorer of the database that an app has while it is worked on: section A.11."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from daemons.kit.bodies import read, reply
from daemons.kit.mongo.calls import Calls
from daemons.kit.mongo.explorer import NoDatabaseServer
from daemons.kit.openapi import Answers
from daemons.workspace.http.callers import named
from daemons.workspace.ports import Activity, Use
from daemons.workspace.services.databases import Development
from protocol.databases import (
    CollectionList,
    CreateCollection,
    DeleteDocument,
    DocumentRef,
    FindDocuments,
    FoundDocument,
    FoundDocuments,
    InsertDocument,
    UpdateDocument,
)
from protocol.workspace_databases import (
    CollectionCreated,
    DatabaseOrder,
    DocumentDeleted,
    DocumentInserted,
    DocumentUpdated,
    Operation,
)
from protocol.workspaces import AppRef

_BASE: Final = "/api/fun-ai/workspace/mongo"
_OFF: Final = (
    "this node has no database server for development; operators: FUNAI_WORKSPACE_MONGO_ENABLED and "
    "FUNAI_WORKSPACE_MONGO_HOST"
)
Handle = Callable[[web.Request], Awaitable[web.Response]]


class DatabaseRoutes:
    """`/api/fun-ai/workspace/mongo/*`. Looking into a database is use of its workspace."""

    def __init__(self, development: Development | None, activity: Activity) -> None:
        """None: there is no database server, and every call says so."""
        self._development = development
        self._activity = activity
        self._operations: Mapping[Operation, Handle] = {
            Operation.FIND: self.find,
            Operation.DOC: self._doc_of_body,
            Operation.CREATE_COLLECTION: self.create,
            Operation.INSERT_ONE: self.insert,
            Operation.UPDATE_BY_ID: self.update,
            Operation.DELETE_BY_ID: self.delete,
        }

    def table(self) -> list[web.RouteDef]:
        """The routes, for the API entry."""
        return [
            web.get(f"{_BASE}/collections", self.collections),
            web.post(f"{_BASE}/find", self.find),
            web.get(f"{_BASE}/doc", self.doc),
            web.post(f"{_BASE}/insert-one", self.insert),
            web.post(f"{_BASE}/update-by-id", self.update),
            web.post(f"{_BASE}/delete-by-id", self.delete),
            web.post(f"{_BASE}/create-collection", self.create),
            web.post(f"{_BASE}/op", self.operate),
        ]

    @Answers(CollectionList, refuses=(403, 404, 422, 429, 503))
    async def collections(self, request: web.Request) -> web.Response:
        """The app's own collections."""
        async with self._calls(request) as calls:
            return reply(await calls.collections())

    @Answers(FoundDocuments, refuses=(403, 404, 422, 429, 503))
    async def find(self, request: web.Request) -> web.Response:
        """Documents that fit a filter."""
        async with self._calls(request) as calls:
            return reply(await calls.find(await read(request, FindDocuments)))

    @Answers(FoundDocument, refuses=(403, 404, 422, 429, 503))
    async def doc(self, request: web.Request) -> web.Response:
        """One document."""
        async with self._calls(request) as calls:
            asked = named(request, DocumentRef)
            return reply(await calls.doc(asked.collection, asked.id))

    @Answers(DocumentInserted, refuses=(403, 404, 422, 429, 503))
    async def insert(self, request: web.Request) -> web.Response:
        """A new document."""
        async with self._calls(request) as calls:
            new = (await calls.insert(await read(request, InsertDocument))).model_dump()
            return reply(DocumentInserted(**{**new, "inserted_id": _text(new["inserted_id"])}))

    @Answers(DocumentUpdated, refuses=(403, 404, 422, 429, 503))
    async def update(self, request: web.Request) -> web.Response:
        """A changed document."""
        async with self._calls(request) as calls:
            changed = (await calls.update(await read(request, UpdateDocument))).model_dump()
            return reply(DocumentUpdated(**{**changed, "upserted_id": _text(changed["upserted_id"])}))

    @Answers(DocumentDeleted, refuses=(403, 404, 422, 429, 503))
    async def delete(self, request: web.Request) -> web.Response:
        """A document less."""
        async with self._calls(request) as calls:
            gone = await calls.delete(await read(request, DeleteDocument))
            return reply(DocumentDeleted(**gone.model_dump()))

    @Answers(CollectionCreated, refuses=(403, 404, 422, 429, 503))
    async def create(self, request: web.Request) -> web.Response:
        """A collection, with or without rules."""
        async with self._calls(request) as calls:
            body = await read(request, CreateCollection)
            made = await calls.create(body.model_copy(update={"fields": _nullable(body.fields)}))
            message = "ok" if made.created else "it was there already"
            return reply(CollectionCreated(**made.model_dump(), message=message))

    @Answers(
        FoundDocuments | FoundDocument | DocumentInserted | DocumentUpdated | DocumentDeleted | CollectionCreated,
        query=(AppRef,),
        refuses=(403, 404, 422, 429, 503),
    )
    async def operate(self, request: web.Request) -> web.Response:
        """The same by name."""
        self._databases()
        order = await read(request, DatabaseOrder)
        return await self._operations[order.op](request)

    async def _doc_of_body(self, request: web.Request) -> web.Response:
        async with self._calls(request) as calls:
            asked = await read(request, DeleteDocument)
            return reply(await calls.doc(asked.collection, asked.id))

    @asynccontextmanager
    async def _calls(self, request: web.Request) -> AsyncIterator[Calls]:
        """Raises NoDatabaseServer, NoDatabase."""
        which, databases = named(request, AppRef), self._databases()
        self._activity.touch(which.user_id, Use.CALL)
        async with databases.calls(which.user_id, which.app_id) as calls:
            yield calls

    def _databases(self) -> Development:
        """Raises NoDatabaseServer."""
        if self._development is None:
            raise NoDatabaseServer(_OFF)
        return self._development


def _nullable(fields: str | None) -> str | None:
    """Existing clients that say nothing of `nullable` mean that a field may be null."""
    try:
        found = json.loads(fields or "null")
    except (ValueError, RecursionError):
        return fields
    if not isinstance(found, list):
        return fields
    return json.dumps([{"nullable": True, **each} if isinstance(each, dict) else each for each in found])


def _text(value: Any) -> str | None:
    """An id in extended JSON as existing clients read it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("$oid"), str):
        return str(value["$oid"])
    return json.dumps(value)
