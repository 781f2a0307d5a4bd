"""The explorer of databases that apps have while they are worked on: `/api/fun-ai/workspace/mongo/*`.

Questions and what is found are those of the explorer on runtime nodes (databases.py); what a change answers has the
keys that clients of workspaces know, ids as plain text among them.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator

from protocol.base import Wire
from protocol.databases import DatabaseAnswer


class Operation(StrEnum):
    """What `POST /op` can be told to do."""

    FIND = "find"
    DOC = "doc"
    CREATE_COLLECTION = "createCollection"
    INSERT_ONE = "insertOne"
    UPDATE_BY_ID = "updateById"
    DELETE_BY_ID = "deleteById"


_SPELLED = {each.value.casefold(): each for each in Operation}


def _spelled(value: object) -> object:
    """Clients write `insertOne`, `insert_one` and `insert-one`."""
    if not isinstance(value, str):
        return value
    return _SPELLED.get(value.strip().casefold().replace("_", "").replace("-", ""), value)


class DatabaseOrder(Wire):
    """`POST /op`; the rest of the body is that of the call of the same name."""

    op: Annotated[Operation, BeforeValidator(_spelled)]


class DocumentInserted(DatabaseAnswer):
    """`insertedId`: 24 hexadecimal digits for an ObjectId, else its text."""

    collection: str
    acknowledged: bool = True
    inserted_id: str | None = None


class DocumentUpdated(DatabaseAnswer):
    """`upsertedId` is null unless the update made the document."""

    collection: str
    acknowledged: bool = True
    matched_count: int
    modified_count: int
    upserted_id: str | None = None


class DocumentDeleted(DatabaseAnswer):
    """0 or 1."""

    collection: str
    acknowledged: bool = True
    deleted_count: int


class CollectionCreated(DatabaseAnswer):
    """`created` is false when it was there already."""

    collection: str
    created: bool
    message: str = "ok"
