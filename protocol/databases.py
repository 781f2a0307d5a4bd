"""The explorer of apps' databases: `/api/fun-ai/deploy/mongo/*` of the API and of runtime nodes, both with `appId` and
`userId` (which people may leave out), and `/deploy/apps/{appId}/mongo/*` of the control plane between them.

Filters, documents and updates travel as JSON texts, because that is what people type; answers hold documents in
MongoDB's relaxed extended JSON. Answers stand in an envelope of code 200 and message `success`; refusals of nodes are
`{"detail": ...}`.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, StringConstraints, model_validator

from protocol.base import Wire
from protocol.names import AppId, CollectionName, UserId

_MOST_FOUND = 200
_MOST_SKIPPED = 10_000

JsonText = Annotated[str, StringConstraints(max_length=65_536)]
DocumentText = Annotated[str, StringConstraints(min_length=1, max_length=786_432)]
DocumentId = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def _within(low: int, high: int) -> BeforeValidator:
    """Numbers outside are brought inside, as existing agents do."""

    def clamp(value: object) -> object:
        return max(low, min(high, value)) if isinstance(value, int) and not isinstance(value, bool) else value

    return BeforeValidator(clamp)


def _as_text(value: object) -> object:
    return json.dumps(value) if isinstance(value, list | dict) else value


class _Asked(BaseModel):
    """What a caller may say of a call: null says as little as nothing."""

    @model_validator(mode="before")
    @classmethod
    def _said(cls, value: Any) -> Any:
        return {key: each for key, each in value.items() if each is not None} if isinstance(value, dict) else value


class DatabaseRef(Wire):
    """The query of every call: whose database."""

    user_id: UserId
    app_id: AppId


class ListCollections(Wire):
    """`GET /collections` asks for nothing in particular."""


class GetDocument(Wire):
    """What `GET /doc` asks for. `id` is an ObjectId when it looks like one, else a string."""

    collection: CollectionName
    id: DocumentId


class DocumentRef(DatabaseRef):
    """The query of `GET /doc`. `id` is an ObjectId when it looks like one, else a string."""

    collection: CollectionName
    id: DocumentId


class FindDocuments(Wire, _Asked):
    """`POST /find`."""

    collection: CollectionName
    filter: JsonText | None = None
    projection: JsonText | None = None
    sort: JsonText | None = None
    limit: Annotated[int, _within(1, _MOST_FOUND)] = 50
    skip: Annotated[int, _within(0, _MOST_SKIPPED)] = 0


class InsertDocument(Wire):
    """`POST /insert-one`."""

    collection: CollectionName
    doc: DocumentText


class UpdateDocument(Wire, _Asked):
    """`POST /update-by-id`; `update` consists of operators such as `$set`."""

    collection: CollectionName
    id: DocumentId
    update: DocumentText
    upsert: bool = False


class DeleteDocument(Wire):
    """`POST /delete-by-id`."""

    collection: CollectionName
    id: DocumentId


class CreateCollection(Wire, _Asked):
    """`POST /create-collection`. `fields` is a JSON schema or a list of `{name, type, required, nullable}`; documents
    that do not fit are refused when `strict`, else only noted in the server's log."""

    collection: CollectionName
    strict: bool = False
    # Some callers send the list itself.
    fields: Annotated[JsonText | None, BeforeValidator(_as_text)] = None


class DatabaseCall(StrEnum):
    """The calls, by the last word of their paths."""

    COLLECTIONS = "collections"
    FIND = "find"
    DOC = "doc"
    INSERT_ONE = "insert-one"
    UPDATE_BY_ID = "update-by-id"
    DELETE_BY_ID = "delete-by-id"
    CREATE_COLLECTION = "create-collection"


#: What may be asked of an app's database, one kind for each call.
Question = (
    ListCollections | FindDocuments | GetDocument | InsertDocument | UpdateDocument | DeleteDocument | CreateCollection
)
#: Those that change something.
Change = InsertDocument | UpdateDocument | DeleteDocument | CreateCollection
_CALLS: Final[Mapping[type[Question], DatabaseCall]] = {
    ListCollections: DatabaseCall.COLLECTIONS,
    FindDocuments: DatabaseCall.FIND,
    GetDocument: DatabaseCall.DOC,
    InsertDocument: DatabaseCall.INSERT_ONE,
    UpdateDocument: DatabaseCall.UPDATE_BY_ID,
    DeleteDocument: DatabaseCall.DELETE_BY_ID,
    CreateCollection: DatabaseCall.CREATE_COLLECTION,
}


def call_of(question: Question) -> DatabaseCall:
    """The call that asks it."""
    return _CALLS[type(question)]


class DatabaseAnswer(Wire):
    """What every answer says first."""

    user_id: str
    app_id: str
    db_name: str


class CollectionList(DatabaseAnswer):
    """`GET /collections`: by name."""

    collections: tuple[str, ...]


class FoundDocuments(DatabaseAnswer):
    """`truncated`: there were more, and these are as much as one answer holds."""

    collection: str
    limit: int
    skip: int
    returned: int
    items: tuple[dict[str, Any], ...]
    truncated: bool = False


class FoundDocument(DatabaseAnswer):
    """`doc` is null when there is none."""

    collection: str
    id: str
    doc: dict[str, Any] | None = None


class InsertedDocument(DatabaseAnswer):
    """`insertedId` in extended JSON."""

    collection: str
    inserted_id: Any = None


class UpdatedDocument(DatabaseAnswer):
    """`upsertedId` is null unless the update made the document."""

    collection: str
    matched_count: int
    modified_count: int
    upserted_id: Any = None


class DeletedDocument(DatabaseAnswer):
    """0 or 1."""

    collection: str
    deleted_count: int


class CreatedCollection(DatabaseAnswer):
    """`created` is false when it was there already."""

    collection: str
    created: bool


class DatabaseOutcome(StrEnum):
    """What became of a change. UNKNOWN: it was asked for, and nobody answered; it may have been made."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class DatabaseDeed(Wire):
    """What the audit log keeps of a change in an app's database, or of an operator's look into one: never what
    documents hold.

    `documentId` is a document's own, of a new one as far as it is plain; `changed` counts documents, or collections
    that were made. `outcome` is null until the change was answered, and for a look.
    """

    id: str
    app_id: str
    user_id: str
    node: str
    call: DatabaseCall
    collection: str | None = None
    document_id: str | None = None
    asked_at: AwareDatetime
    outcome: DatabaseOutcome | None = None
    changed: int | None = None
