"""Clients of the explorers of apps' databases: a node's, and the control plane's, which asks the node of an app."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import httpx
from pydantic import ValidationError

from protocol.base import Envelope, Wire
from protocol.client.transport import Transport, Unintelligible
from protocol.databases import (
    CollectionList,
    CreateCollection,
    CreatedCollection,
    DatabaseAnswer,
    DatabaseRef,
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
    call_of,
)

Answer = TypeVar("Answer", bound=DatabaseAnswer)
_NODES: Final = "/api/fun-ai/deploy/mongo"
#: A query may take 3 s, a server may be looked for for 5 s, and callers wait for one another.
NODE_SECONDS: Final = 15.0
#: Before that is over the control plane has said that the node is silent.
PLANE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Sent:
    """A question as it is sent."""

    method: str
    path: str
    query: Mapping[str, str]
    body: Wire | None = None


def to_node(question: Question, app: DatabaseRef) -> Sent:
    """A question to the node that has the app."""
    return _sent(_NODES, question, {"userId": app.user_id, "appId": app.app_id})


def _sent(prefix: str, question: Question, whose: Mapping[str, str]) -> Sent:
    path = f"{prefix}/{call_of(question).value}"
    if isinstance(question, ListCollections | GetDocument):
        return Sent("GET", path, {**whose, **question.to_data()})
    return Sent("POST", path, whose, question)


class _Questions(ABC):
    """The database of one app; every method raises Refused with what is wrong, and Unreachable."""

    async def collections(self) -> CollectionList:
        """The app's own collections."""
        return await self._ask(ListCollections(), CollectionList)

    async def find(self, wanted: FindDocuments) -> FoundDocuments:
        """Documents that fit a filter."""
        return await self._ask(wanted, FoundDocuments)

    async def doc(self, collection: str, document_id: str) -> FoundDocument:
        """One document."""
        return await self._ask(GetDocument(collection=collection, id=document_id), FoundDocument)

    async def insert(self, new: InsertDocument) -> InsertedDocument:
        """A new document."""
        return await self._ask(new, InsertedDocument)

    async def update(self, change: UpdateDocument) -> UpdatedDocument:
        """A changed document."""
        return await self._ask(change, UpdatedDocument)

    async def delete(self, which: DeleteDocument) -> DeletedDocument:
        """A document less."""
        return await self._ask(which, DeletedDocument)

    async def create(self, wanted: CreateCollection) -> CreatedCollection:
        """A collection, with or without rules."""
        return await self._ask(wanted, CreatedCollection)

    @abstractmethod
    async def _ask(self, question: Question, answer: type[Answer]) -> Answer: ...


class ExplorerClient(_Questions):
    """Of a node."""

    def __init__(self, transport: Transport, app: DatabaseRef) -> None:
        self._transport = transport
        self._app = app

    async def _ask(self, question: Question, answer: type[Answer]) -> Answer:
        sent = to_node(question, self._app)
        envelope = await self._transport.bare(
            sent.method, sent.path, Envelope[Any], body=sent.body, query=sent.query, seconds=NODE_SECONDS
        )
        try:
            return answer.model_validate(envelope.data, strict=False)
        except ValidationError as error:
            raise Unintelligible(f"the answer of {sent.path} is of another contract") from error


class AppDatabaseClient(_Questions):
    """Of the control plane, for the API and for operators. With a user the app must be theirs."""

    def __init__(self, transport: Transport, app_id: str, user_id: str | None = None) -> None:
        self._transport = transport
        self._path = f"/deploy/apps/{app_id}/mongo"
        self._whose = {"userId": user_id} if user_id is not None else {}

    async def raw(self, question: Question) -> httpx.Response:
        """The answer as it came. Raises Unreachable."""
        sent = _sent(self._path, question, self._whose)
        return await self._transport.send(
            sent.method, sent.path, body=sent.body, query=sent.query, seconds=PLANE_SECONDS
        )

    async def _ask(self, question: Question, answer: type[Answer]) -> Answer:
        sent = _sent(self._path, question, self._whose)
        return await self._transport.call(
            sent.method, sent.path, answer, body=sent.body, query=sent.query, seconds=PLANE_SECONDS
        )
