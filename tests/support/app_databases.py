"""The databases of deployed apps in memory: the same contract suite runs over this and over the real control plane."""

import asyncio
from dataclasses import dataclass, field

import orjson

from daemons.api.ports import PlaneError, PlaneNotFound
from daemons.kit.mongo.calls import Calls
from daemons.kit.mongo.explorer import AT_ONCE, Explorer
from protocol.databases import (
    CreateCollection,
    DatabaseAnswer,
    DeleteDocument,
    FindDocuments,
    GetDocument,
    InsertDocument,
    ListCollections,
    Question,
    UpdateDocument,
)
from tests.support.mongo_twin import TwinDatabases


@dataclass
class MemoryAppDatabases:
    """`deployed` says whose each app is; `server` has their documents; while `failing`, nobody is asked."""

    deployed: dict[int, int] = field(default_factory=dict)
    server: TwinDatabases = field(default_factory=TwinDatabases)
    failing: PlaneError | None = None

    async def ask(self, user_id: int, app_id: int, question: Question) -> bytes:
        """As an explorer answers."""
        if self.failing is not None:
            raise self.failing
        if self.deployed.get(app_id) != user_id:
            raise PlaneNotFound(f"app {app_id} is not deployed; deploy it first")
        explorer = Explorer(self.server, asyncio.Semaphore(AT_ONCE))
        data = await _answer(Calls(explorer, str(user_id), str(app_id), f"db_u{user_id}_a{app_id}"), question)
        return orjson.dumps({"code": 200, "message": "success", "data": data.to_data()})


async def _answer(calls: Calls, question: Question) -> DatabaseAnswer:
    match question:
        case ListCollections():
            return await calls.collections()
        case FindDocuments():
            return await calls.find(question)
        case GetDocument():
            return await calls.doc(question.collection, question.id)
        case InsertDocument():
            return await calls.insert(question)
        case UpdateDocument():
            return await calls.update(question)
        case DeleteDocument():
            return await calls.delete(question)
        case CreateCollection():
            return await calls.create(question)
