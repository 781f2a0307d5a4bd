"""What the audit log keeps of changes in apps' databases, and of operators' looks into them: who, whose, which
document, and what became of it. Never what a document holds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, assert_never

from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.views import when
from protocol.databases import (
    CreateCollection,
    CreatedCollection,
    DatabaseDeed,
    DatabaseOutcome,
    DeletedDocument,
    DeleteDocument,
    GetDocument,
    InsertDocument,
    InsertedDocument,
    ListCollections,
    Question,
    UpdatedDocument,
    UpdateDocument,
    call_of,
)

Changed = InsertedDocument | UpdatedDocument | DeletedDocument | CreatedCollection
_LONGEST_ID: Final = 512
#: What each change is answered with.
ANSWERS: Final[Mapping[type[Question], type[Changed]]] = {
    InsertDocument: InsertedDocument,
    UpdateDocument: UpdatedDocument,
    DeleteDocument: DeletedDocument,
    CreateCollection: CreatedCollection,
}


@dataclass(frozen=True, slots=True)
class Deed:
    """One question to an app's database that somebody has to answer for; `asked_at` is epoch milliseconds."""

    id: str
    app_id: str
    user_id: str
    node: str
    actor: Actor
    question: Question
    asked_at: int = 0
    outcome: DatabaseOutcome | None = None
    answer: Changed | None = None


def ended(deed: Deed, outcome: DatabaseOutcome, answer: Changed | None = None) -> Deed:
    """The deed, once it was answered or will not be."""
    return replace(deed, outcome=outcome, answer=answer)


def event(deed: Deed) -> NewEvent:
    """The event of a change that is about to be asked for or was answered, or of a look."""
    question = deed.question
    view = DatabaseDeed(
        id=deed.id,
        app_id=deed.app_id,
        user_id=deed.user_id,
        node=deed.node,
        call=call_of(question),
        collection=None if isinstance(question, ListCollections) else question.collection,
        document_id=_document(deed),
        asked_at=when(deed.asked_at),
        outcome=deed.outcome,
        changed=None if deed.answer is None else _count(deed.answer),
    )
    first = "asked" if type(question) in ANSWERS else "looked"
    change = first if deed.outcome is None else deed.outcome.value
    return NewEvent("database", change, deed.app_id, deed.actor, view.to_json().decode())


def _document(deed: Deed) -> str | None:
    if isinstance(deed.question, GetDocument | UpdateDocument | DeleteDocument):
        return deed.question.id
    return _plain(deed.answer.inserted_id) if isinstance(deed.answer, InsertedDocument) else None


def _plain(document_id: object) -> str | None:
    """An id as people type it; what is more than an id is part of a document."""
    found = document_id.get("$oid") if isinstance(document_id, dict) else document_id
    return found[:_LONGEST_ID] if isinstance(found, str) else None


def _count(answer: Changed) -> int:
    match answer:
        case InsertedDocument():
            return 1
        case UpdatedDocument():
            return answer.modified_count + (answer.upserted_id is not None)
        case DeletedDocument():
            return answer.deleted_count
        case CreatedCollection():
            return int(answer.created)
        case _:
            assert_never(answer)
