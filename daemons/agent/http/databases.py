"""The explorer of apps' databases, at the paths and with the keys that existing callers know."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from daemons.kit.bodies import bare, query, read
from daemons.kit.mongo.calls import Calls
from daemons.kit.mongo.explorer import Explorer, NoDatabaseServer
from daemons.kit.openapi import Answers
from protocol.base import Envelope, Wire
from protocol.databases import (
    CollectionList,
    CreateCollection,
    CreatedCollection,
    DatabaseRef,
    DeletedDocument,
    DeleteDocument,
    DocumentRef,
    FindDocuments,
    FoundDocument,
    FoundDocuments,
    InsertDocument,
    InsertedDocument,
    UpdatedDocument,
    UpdateDocument,
)

PREFIX: Final = "/api/fun-ai/deploy/mongo"


class ExplorerRoutes:
    """`/api/fun-ai/deploy/mongo/*`."""

    def __init__(self, explorer: Explorer | None, database: Callable[[str, str], str]) -> None:
        """`database` is the name of that of a user's app."""
        self._explorer = explorer
        self._database = database

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [
            web.get(f"{PREFIX}/collections", self.collections),
            web.post(f"{PREFIX}/find", self.find),
            web.get(f"{PREFIX}/doc", self.doc),
            web.post(f"{PREFIX}/insert-one", self.insert),
            web.post(f"{PREFIX}/update-by-id", self.update),
            web.post(f"{PREFIX}/delete-by-id", self.delete),
            web.post(f"{PREFIX}/create-collection", self.create),
        ]

    @Answers(Envelope[CollectionList], refuses=(403, 404, 422, 429, 503))
    async def collections(self, request: web.Request) -> web.Response:
        """The app's own collections."""
        return _success(await self._calls(request).collections())

    @Answers(Envelope[FoundDocuments], refuses=(403, 404, 422, 429, 503))
    async def find(self, request: web.Request) -> web.Response:
        """Documents that fit a filter."""
        return _success(await self._calls(request).find(await read(request, FindDocuments)))

    @Answers(Envelope[FoundDocument], refuses=(403, 404, 422, 429, 503))
    async def doc(self, request: web.Request) -> web.Response:
        """One document."""
        asked = query(request, DocumentRef)
        return _success(await self._calls(request).doc(asked.collection, asked.id))

    @Answers(Envelope[InsertedDocument], refuses=(403, 404, 422, 429, 503))
    async def insert(self, request: web.Request) -> web.Response:
        """A new document."""
        return _success(await self._calls(request).insert(await read(request, InsertDocument)))

    @Answers(Envelope[UpdatedDocument], refuses=(403, 404, 422, 429, 503))
    async def update(self, request: web.Request) -> web.Response:
        """A changed document."""
        return _success(await self._calls(request).update(await read(request, UpdateDocument)))

    @Answers(Envelope[DeletedDocument], refuses=(403, 404, 422, 429, 503))
    async def delete(self, request: web.Request) -> web.Response:
        """A document less."""
        return _success(await self._calls(request).delete(await read(request, DeleteDocument)))

    @Answers(Envelope[CreatedCollection], refuses=(403, 404, 409, 422, 429, 503))
    async def create(self, request: web.Request) -> web.Response:
        """A collection, with or without rules."""
        return _success(await self._calls(request).create(await read(request, CreateCollection)))

    def _calls(self, request: web.Request) -> Calls:
        ref = query(request, DatabaseRef)
        if self._explorer is None:
            raise NoDatabaseServer(
                "this node has no database server; set RUNTIME_MONGO_HOST to the address of a MongoDB"
            )
        return Calls(self._explorer, ref.user_id, ref.app_id, self._database(ref.user_id, ref.app_id))


def _success(data: Wire) -> web.Response:
    return bare({"code": 200, "message": "success", "data": data.to_data()})
