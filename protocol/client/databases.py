"""Client of the explorer of apps' databases on a runtime node."""

from collections.abc import Mapping
from typing import Final

from protocol.base import Envelope, Wire
from protocol.client.transport import Data, Transport, Unintelligible
from protocol.databases import (
    CollectionList,
    CreateCollection,
    CreatedCollection,
    DatabaseRef,
    DeletedDocument,
    DeleteDocument,
    FindDocuments,
    FoundDocument,
    FoundDocuments,
    InsertDocument,
    InsertedDocument,
    UpdatedDocument,
    UpdateDocument,
)

_PREFIX: Final = "/api/fun-ai/deploy/mongo"
#: A query may take 3 s, a server may be looked for for 5 s, and callers wait for one another.
_SECONDS: Final = 15.0


class ExplorerClient:
    """The database of one app; every method raises Refused with what is wrong, and Unreachable."""

    def __init__(self, transport: Transport, app: DatabaseRef) -> None:
        self._transport = transport
        self._whose = {"userId": app.user_id, "appId": app.app_id}

    async def collections(self) -> CollectionList:
        """The app's own collections."""
        return await self._ask("GET", "collections", Envelope[CollectionList])

    async def find(self, wanted: FindDocuments) -> FoundDocuments:
        """Documents that fit a filter."""
        return await self._ask("POST", "find", Envelope[FoundDocuments], wanted)

    async def doc(self, collection: str, document_id: str) -> FoundDocument:
        """One document."""
        which = {"collection": collection, "id": document_id}
        return await self._ask("GET", "doc", Envelope[FoundDocument], query=which)

    async def insert(self, new: InsertDocument) -> InsertedDocument:
        """A new document."""
        return await self._ask("POST", "insert-one", Envelope[InsertedDocument], new)

    async def update(self, change: UpdateDocument) -> UpdatedDocument:
        """A changed document."""
        return await self._ask("POST", "update-by-id", Envelope[UpdatedDocument], change)

    async def delete(self, which: DeleteDocument) -> DeletedDocument:
        """A document less."""
        return await self._ask("POST", "delete-by-id", Envelope[DeletedDocument], which)

    async def create(self, wanted: CreateCollection) -> CreatedCollection:
        """A collection, with or without rules."""
        return await self._ask("POST", "create-collection", Envelope[CreatedCollection], wanted)

    async def _ask(
        self,
        method: str,
        call: str,
        answer: type[Envelope[Data]],
        body: Wire | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Data:
        path, whose = f"{_PREFIX}/{call}", {**self._whose, **(query or {})}
        envelope = await self._transport.bare(method, path, answer, body=body, query=whose, seconds=_SECONDS)
        if envelope.data is None:
            raise Unintelligible(f"the answer of {path} holds no data")
        return envelope.data
