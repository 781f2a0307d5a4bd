"""The explorer's calls as they are sent and answered, for whoever serves them."""

from dataclasses import dataclass

from daemons.kit.mongo.explorer import Explorer
from protocol.databases import (
    CollectionList,
    CreateCollection,
    CreatedCollection,
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


@dataclass(frozen=True, slots=True)
class Calls:
    """For one app's database. Every method raises as `Explorer`."""

    explorer: Explorer
    user_id: str
    app_id: str
    database: str

    async def collections(self) -> CollectionList:
        """The app's own collections."""
        return CollectionList(**self._about, collections=tuple(await self.explorer.collections(self.database)))

    async def find(self, body: FindDocuments) -> FoundDocuments:
        """Documents that fit a filter."""
        page = await self.explorer.find(
            self.database, body.collection, body.filter, body.projection, body.sort, skip=body.skip, limit=body.limit
        )
        return FoundDocuments(
            **self._about,
            collection=body.collection,
            limit=body.limit,
            skip=body.skip,
            returned=len(page.items),
            items=page.items,
            truncated=page.truncated,
        )

    async def doc(self, collection: str, document_id: str) -> FoundDocument:
        """One document."""
        found = await self.explorer.get(self.database, collection, document_id)
        return FoundDocument(**self._about, collection=collection, id=document_id, doc=found)

    async def insert(self, body: InsertDocument) -> InsertedDocument:
        """A new document."""
        new = await self.explorer.insert(self.database, body.collection, body.doc)
        return InsertedDocument(**self._about, collection=body.collection, inserted_id=new)

    async def update(self, body: UpdateDocument) -> UpdatedDocument:
        """A changed document."""
        changed = await self.explorer.update(self.database, body.collection, body.id, body.update, upsert=body.upsert)
        return UpdatedDocument(
            **self._about,
            collection=body.collection,
            matched_count=changed.matched,
            modified_count=changed.modified,
            upserted_id=changed.upserted_id,
        )

    async def delete(self, body: DeleteDocument) -> DeletedDocument:
        """A document less."""
        count = await self.explorer.delete(self.database, body.collection, body.id)
        return DeletedDocument(**self._about, collection=body.collection, deleted_count=count)

    async def create(self, body: CreateCollection) -> CreatedCollection:
        """A collection, with or without rules."""
        created = await self.explorer.create(self.database, body.collection, body.fields, strict=body.strict)
        return CreatedCollection(**self._about, collection=body.collection, created=created)

    @property
    def _about(self) -> dict[str, str]:
        return {"user_id": self.user_id, "app_id": self.app_id, "db_name": self.database}
