"""The databases of apps, for the API, which shows them to the apps' owners alone, and for operators."""

from typing import Final

from aiohttp import web

from daemons.deploy.http.requests import app_in_path, caller
from daemons.deploy.services.databases import Databases
from daemons.kit.bodies import passed_on, query, read
from daemons.kit.openapi import Answers
from protocol.base import Wire
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
from protocol.names import UserId

_BASE: Final = "/deploy/apps/{app_id}/mongo"


class _Owner(Wire):
    """Whose the app must be, if somebody is named."""

    user_id: UserId | None = None


class DatabaseRoutes:
    """`/deploy/apps/{app_id}/mongo/*`."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    def table(self) -> list[web.RouteDef]:
        """The routes."""
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
        owner, app_id = query(request, _Owner), app_in_path(request)
        return passed_on(await self._databases.ask(app_id, owner.user_id, question, caller(request)))
