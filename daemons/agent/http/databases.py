"""The explorer of apps' databases, at the paths and with the keys that existing callers know."""

from typing import Final

from aiohttp import web

from daemons.agent.services.explorer import Explorer, no_explorer
from daemons.kit.bodies import bare, query, read
from protocol.base import Wire
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

    def __init__(self, explorer: Explorer | None) -> None:
        self._explorer = explorer

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

    async def collections(self, request: web.Request) -> web.Response:
        """The app's own collections."""
        explorer, ref, name = self._asked(request)
        found = await explorer.collections(name)
        return _success(CollectionList(**_about(ref, name), collections=tuple(found)))

    async def find(self, request: web.Request) -> web.Response:
        """Documents that fit a filter."""
        explorer, ref, name = self._asked(request)
        body = await read(request, FindDocuments)
        page = await explorer.find(
            name, body.collection, body.filter, body.projection, body.sort, skip=body.skip, limit=body.limit
        )
        answer = FoundDocuments(
            **_about(ref, name),
            collection=body.collection,
            limit=body.limit,
            skip=body.skip,
            returned=len(page.items),
            items=page.items,
            truncated=page.truncated,
        )
        return _success(answer)

    async def doc(self, request: web.Request) -> web.Response:
        """One document."""
        explorer, ref, name = self._asked(request)
        asked = query(request, DocumentRef)
        found = await explorer.get(name, asked.collection, asked.id)
        return _success(FoundDocument(**_about(ref, name), collection=asked.collection, id=asked.id, doc=found))

    async def insert(self, request: web.Request) -> web.Response:
        """A new document."""
        explorer, ref, name = self._asked(request)
        body = await read(request, InsertDocument)
        new = await explorer.insert(name, body.collection, body.doc)
        return _success(InsertedDocument(**_about(ref, name), collection=body.collection, inserted_id=new))

    async def update(self, request: web.Request) -> web.Response:
        """A changed document."""
        explorer, ref, name = self._asked(request)
        body = await read(request, UpdateDocument)
        changed = await explorer.update(name, body.collection, body.id, body.update, upsert=body.upsert)
        answer = UpdatedDocument(
            **_about(ref, name),
            collection=body.collection,
            matched_count=changed.matched,
            modified_count=changed.modified,
            upserted_id=changed.upserted_id,
        )
        return _success(answer)

    async def delete(self, request: web.Request) -> web.Response:
        """A document less."""
        explorer, ref, name = self._asked(request)
        body = await read(request, DeleteDocument)
        count = await explorer.delete(name, body.collection, body.id)
        return _success(DeletedDocument(**_about(ref, name), collection=body.collection, deleted_count=count))

    async def create(self, request: web.Request) -> web.Response:
        """A collection, with or without rules."""
        explorer, ref, name = self._asked(request)
        body = await read(request, CreateCollection)
        created = await explorer.create(name, body.collection, body.fields, strict=body.strict)
        return _success(CreatedCollection(**_about(ref, name), collection=body.collection, created=created))

    def _asked(self, request: web.Request) -> tuple[Explorer, DatabaseRef, str]:
        ref = query(request, DatabaseRef)
        if self._explorer is None:
            no_explorer()
        return self._explorer, ref, self._explorer.database(ref.user_id, ref.app_id)


def _about(ref: DatabaseRef, name: str) -> dict[str, str]:
    return {"user_id": ref.user_id, "app_id": ref.app_id, "db_name": name}


def _success(data: Wire) -> web.Response:
    return bare({"code": 200, "message": "success", "data": data.to_data()})
