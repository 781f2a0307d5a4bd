"""Changes in apps' databases and the audit log: nothing is changed that it does not have, and no end is lost."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.databases import Changed, Deed, ended, event
from daemons.deploy.domain.events import Actor, Event, Search
from daemons.deploy.ports import Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.databases import Databases
from protocol.databases import (
    CreateCollection,
    CreatedCollection,
    DatabaseOutcome,
    DatabaseRef,
    DeletedDocument,
    DeleteDocument,
    FindDocuments,
    InsertDocument,
    InsertedDocument,
    Question,
    UpdatedDocument,
    UpdateDocument,
)
from tests.http.deploy.plane import MEMORY, serving
from tests.support.failing_store import FailingStore

_ABOUT: dict[str, Any] = {"user_id": "1", "app_id": "20001", "db_name": "db_u1_a20001", "collection": "things"}
_CHANGE = DeleteDocument(collection="things", id="a")


class OneAgent:
    """Answers a deletion, at once or once it is let."""

    def __init__(self, *, at_once: bool = True) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        if at_once:
            self.go_on.set()

    async def ask(self, base_url: str, app: DatabaseRef, question: Question) -> bytes:
        self.asked.set()
        await self.go_on.wait()
        return orjson.dumps(
            {"code": 200, "message": "success", "data": DeletedDocument(**_ABOUT, deleted_count=1).to_data()}
        )


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    """With app 20001 of user 1, that lives on a node."""
    async with open_store(MEMORY) as store, serving(store) as plane:
        await plane.claimed()
        yield store


async def changes(store: Store) -> list[str]:
    async def work(tx: Transaction) -> list[Event]:
        return list(await tx.events_before(2**60, 0, 100, Search(kind="database")))

    return [each.change for each in reversed(await store.transact(work))]


async def test_nothing_is_changed_that_the_audit_log_does_not_have(store: Store) -> None:
    agent = OneAgent()
    databases = Databases(FailingStore(store, 1), Bells(), agent)
    with pytest.raises(StoreUnavailable):
        await databases.ask("20001", "1", _CHANGE, Actor("api"))
    assert (agent.asked.is_set(), await changes(store)) == (False, [])


async def test_no_operator_looks_without_being_seen(store: Store) -> None:
    agent = OneAgent()
    databases = Databases(FailingStore(store, 1), Bells(), agent)
    with pytest.raises(StoreUnavailable):
        await databases.ask("20001", None, FindDocuments(collection="things"), Actor("admin"))
    assert not agent.asked.is_set()


async def test_an_end_that_cannot_be_written_takes_no_answer_away(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    databases = Databases(FailingStore(store, 2), Bells(), OneAgent())
    assert b'"deletedCount":1' in await databases.ask("20001", "1", _CHANGE, Actor("api"))
    assert await changes(store) == ["asked"]
    assert "what became of a change in a database is not in the audit log" in caplog.text


async def test_a_change_that_is_cut_short_is_in_doubt(store: Store) -> None:
    agent = OneAgent(at_once=False)
    databases = Databases(store, Bells(), agent)
    asking = asyncio.ensure_future(databases.ask("20001", "1", _CHANGE, Actor("api")))
    await agent.asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await changes(store) == ["asked", "unknown"]


@pytest.mark.parametrize(
    ("question", "answer", "document", "changed"),
    [
        (
            InsertDocument(collection="things", doc="{}"),
            InsertedDocument(**_ABOUT, inserted_id={"$oid": "0" * 24}),
            "0" * 24,
            1,
        ),
        (InsertDocument(collection="things", doc="{}"), InsertedDocument(**_ABOUT, inserted_id=7), None, 1),
        (
            InsertDocument(collection="things", doc="{}"),
            InsertedDocument(**_ABOUT, inserted_id={"name": "of a person"}),
            None,
            1,
        ),
        (
            UpdateDocument(collection="things", id="a", update="{}"),
            UpdatedDocument(**_ABOUT, matched_count=1, modified_count=0),
            "a",
            0,
        ),
        (
            UpdateDocument(collection="things", id="a", update="{}", upsert=True),
            UpdatedDocument(**_ABOUT, matched_count=0, modified_count=0, upserted_id="a"),
            "a",
            1,
        ),
        (_CHANGE, DeletedDocument(**_ABOUT, deleted_count=1), "a", 1),
        (CreateCollection(collection="things"), CreatedCollection(**_ABOUT, created=False), None, 0),
    ],
)
def test_what_is_kept_of_a_change(question: Question, answer: Changed, document: str | None, changed: int) -> None:
    deed = Deed("d1", "20001", "1", "n1", Actor("api"), question)
    told = event(ended(deed, DatabaseOutcome.DONE, answer))
    body = orjson.loads(told.body)
    assert (told.kind, told.change, told.subject) == ("database", "done", "20001")
    assert (body["documentId"], body["changed"]) == (document, changed)
    assert "of a person" not in told.body
