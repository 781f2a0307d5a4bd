"""What explorers refuse without asking a database, for daemons that pass questions on to one."""

from typing import assert_never

from daemons.kit.mongo.documents import Purpose, document, new_document, order, own_collection, update, validator
from protocol.databases import (
    CreateCollection,
    DeleteDocument,
    FindDocuments,
    GetDocument,
    InsertDocument,
    ListCollections,
    Question,
    UpdateDocument,
)


def admit(question: Question) -> None:
    """Raises BadDocument, SystemCollection. A text of the greatest length that consists of brackets keeps a processor
    busy for a good part of a second, so event loops have it done in a thread."""
    if not isinstance(question, ListCollections):
        own_collection(question.collection)
    match question:
        case FindDocuments():
            document(question.filter, Purpose.FILTER)
            document(question.projection, Purpose.PROJECTION)
            order(question.sort)
        case InsertDocument():
            new_document(question.doc)
        case UpdateDocument():
            update(question.update)
        case CreateCollection():
            validator(question.fields)
        case ListCollections() | GetDocument() | DeleteDocument():
            pass
        case _:
            assert_never(question)
