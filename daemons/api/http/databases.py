"""The databases of people's deployed apps: section B.3."""

from typing import Final

from aiohttp import web

from daemons.api.http.callers import subject
from daemons.api.services.databases import Databases
from daemons.kit.bodies import passed_on, query, read
from daemons.kit.openapi import Answers
from protocol.api import OfApp
from protocol.databases import (
    CollectionList,
    CreateCollection,
    CreatedCollection,
    DeletedDocument,
    DeleteDocument,
    FindDocuments,
    FoundDocument,
    FoundDocuments,
    GetDocument,
    InsertDocument,
    InsertedDocument,
    ListCollections,
    Question,
    UpdatedDocument,
    UpdateDocument,
)

_BASE: Final = "/api/fun-ai/deploy/mongo"


class DatabaseRoutes:
    """`/api/fun-ai/deploy/mongo/*`."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.get(f"{_BASE}/collections", self.collections),
            web.post(f"{_BASE}/find", self.find),
            web.get(f"{_BASE}/doc", self.doc),
            web.post(f"{_BASE}/insert-one", self.insert),
            web.post(f"{_BASE}/update-by-id", self.update),
            web.post(f"{_BASE}/delete-by-id", self.delete),
            web.post(f"{_BASE}/create-collection", self.create),
        ]

    @Answers(CollectionList, refuses=(404, 422, 429))
    async def collections(self, request: web.Request) -> web.Response:
        """The app's own collections."""
        return await self._asked(request, ListCollections())

    @Answers(FoundDocuments, refuses=(403, 404, 422, 429))
    async def find(self, request: web.Request) -> web.Response:
        """Documents that fit a filter."""
        return await self._asked(request, await read(request, FindDocuments))

    @Answers(FoundDocument, refuses=(403, 404, 422, 429))
    async def doc(self, request: web.Request) -> web.Response:
        """One document."""
        return await self._asked(request, query(request, GetDocument))

    @Answers(InsertedDocument, refuses=(403, 404, 422, 429))
    async def insert(self, request: web.Request) -> web.Response:
        """A new document."""
        return await self._asked(request, await read(request, InsertDocument))

    @Answers(UpdatedDocument, refuses=(403, 404, 422, 429))
    async def update(self, request: web.Request) -> web.Response:
        """A changed document."""
        return await self._asked(request, await read(request, UpdateDocument))

    @Answers(DeletedDocument, refuses=(403, 404, 422, 429))
    async def delete(self, request: web.Request) -> web.Response:
        """A document less."""
        return await self._asked(request, await read(request, DeleteDocument))

    @Answers(CreatedCollection, refuses=(403, 404, 422, 429))
    async def create(self, request: web.Request) -> web.Response:
        """A collection, with or without rules."""
        return await self._asked(request, await read(request, CreateCollection))

    async def _asked(self, request: web.Request, question: Question) -> web.Response:
        named = query(request, OfApp)
        return passed_on(await self._databases.ask(subject(request), named.app_id, question))
