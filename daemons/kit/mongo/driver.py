"""MongoDB through PyMongo's asynchronous client. Needs the extra `mongo`; nothing else imports this module.

Commands: MongoDB's reference of user management (`createUser`, `updateUser`, `usersInfo`, `dropUser`). PyMongo keeps
what these commands say out of its logs, and nothing here puts a server's whole answer into a message.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from bson import encode, json_util
from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import ConnectionFailure, InvalidName, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from daemons.kit.mongo.accounts import Account
from daemons.kit.mongo.documents import Document
from daemons.kit.mongo.ports import Changed, DatabaseError, MongoServer, Page, QueryRefused

_Bson = dict[str, Any]

_MARKER: Final = "__funai_meta__"
_USER_NOT_FOUND: Final = 11
_NOT_THIS_NODES_RIGHT: Final = frozenset({13, 18, 8000})
_NAMESPACE_EXISTS: Final = 48
_QUERY_MILLISECONDS: Final = 3000
_SELECTION_MILLISECONDS: Final = 5000
_ANSWER_MILLISECONDS: Final = 10_000
_MOST_BYTES: Final = 2 * 1024**2
_BATCH: Final = 50
_WORDS: Final = 300
#: What follows in a message of the driver's describes timeouts and every server it ever saw.
_TOPOLOGY: Final = re.compile(r" \(configured timeouts|, Timeout: ")


async def connect(server: MongoServer) -> AsyncMongoClient[_Bson]:
    """A client that connects when it is first used; whoever asked for it closes it."""
    # Its constructor looks for files that say where the process runs.
    return await asyncio.to_thread(_client, server)


def _client(server: MongoServer) -> AsyncMongoClient[_Bson]:
    account: dict[str, Any] = {}
    if server.username:
        account = {"username": server.username, "password": server.password, "authSource": server.auth_source}
    return AsyncMongoClient(
        server.host,
        server.port,
        tls=server.tls,
        appname=server.appname,
        maxPoolSize=server.at_once,
        connectTimeoutMS=_QUERY_MILLISECONDS,
        serverSelectionTimeoutMS=_SELECTION_MILLISECONDS,
        socketTimeoutMS=_ANSWER_MILLISECONDS,
        **account,
    )


class MongoDoors:
    """The port `Doors`: a client for each visit, because people look into few databases, and seldom."""

    def __init__(self, server: MongoServer) -> None:
        self._server = server

    @asynccontextmanager
    async def opened(self, account: Account) -> AsyncIterator["MongoDocuments"]:
        """It connects with the first call."""
        login = replace(
            self._server, username=account.user, password=account.password, auth_source=account.realm, at_once=1
        )
        async with await connect(login) as client:
            yield MongoDocuments(client)


class MongoDatabases:
    """Databases and users. The client's account may administer users and databases everywhere."""

    def __init__(self, client: AsyncMongoClient[_Bson]) -> None:
        self._client = client

    async def ping(self) -> None:
        """Raises DatabaseError unless a server answers."""
        async with _telling():
            await self._client.admin.command("ping")

    async def ensure(self, account: Account) -> None:
        """Raises DatabaseError."""
        realm = self._client[account.realm]
        about = {"pwd": account.password, "roles": [{"role": "readWrite", "db": account.database}]}
        async with _telling():
            try:
                await realm.command({"updateUser": account.user, **about})
            except OperationFailure as error:
                if error.code != _USER_NOT_FOUND:
                    raise
                await realm.command({"createUser": account.user, **about})

    async def mark(self, database: str) -> None:
        """Raises DatabaseError."""
        about = {"$setOnInsert": {"madeBy": "funai"}}
        async with _telling():
            await self._client[database][_MARKER].update_one({"_id": "init"}, about, upsert=True)

    async def revoke(self, account: Account) -> None:
        """Raises DatabaseError."""
        query = {"usersInfo": {"forAllDBs": True}, "filter": {"user": account.user}}
        async with _telling():
            found = await self._client.admin.command(query)
            for user in found["users"]:
                await self._drop_user(str(user["db"]), account.user)

    async def drop(self, database: str) -> None:
        """Raises DatabaseError."""
        async with _telling():
            await self._client.drop_database(database)

    async def _drop_user(self, realm: str, user: str) -> None:
        try:
            await self._client[realm].command({"dropUser": user})
        except OperationFailure as error:
            if error.code != _USER_NOT_FOUND:
                raise


class MongoDocuments:
    """The explorer's calls."""

    def __init__(self, client: AsyncMongoClient[_Bson]) -> None:
        self._client = client

    async def collections(self, database: str) -> Sequence[str]:
        """Raises DatabaseError and QueryRefused."""
        async with _asking():
            names = await self._client[database].list_collection_names()
        return sorted(name for name in names if name != _MARKER and not name.startswith("system."))

    async def find(
        self,
        database: str,
        collection: str,
        wanted: Document,
        projection: Document,
        order: Document,
        *,
        skip: int,
        limit: int,
    ) -> Page:
        """At most 2 MiB of documents. Raises DatabaseError and QueryRefused."""
        items: list[Document] = []
        size = 0
        async with _asking():
            cursor = self._client[database][collection].find(
                _bson(wanted),
                _bson(projection) or None,
                sort=list(_bson(order).items()) or None,
                skip=skip,
                limit=limit,
                batch_size=_BATCH,
                max_time_ms=_QUERY_MILLISECONDS,
            )
            async with cursor:
                async for found in cursor:
                    size += len(encode(found))
                    if size > _MOST_BYTES:
                        return Page(tuple(items), truncated=True)
                    items.append(_extended(found))
        return Page(tuple(items))

    async def insert(self, database: str, collection: str, document: Document) -> Any:
        """Raises DatabaseError and QueryRefused."""
        async with _asking():
            result = await self._client[database][collection].insert_one(_bson(document))
        return _extended(result.inserted_id)

    async def update(
        self, database: str, collection: str, document_id: Any, update: Document, *, upsert: bool
    ) -> Changed:
        """Raises DatabaseError and QueryRefused."""
        async with _asking():
            found = self._client[database][collection]
            result = await found.update_one(_bson({"_id": document_id}), _bson(update), upsert=upsert)
        return Changed(result.matched_count, result.modified_count, _extended(result.upserted_id))

    async def delete(self, database: str, collection: str, document_id: Any) -> int:
        """Raises DatabaseError and QueryRefused."""
        async with _asking():
            result = await self._client[database][collection].delete_one(_bson({"_id": document_id}))
        return result.deleted_count

    async def create(self, database: str, collection: str, validator: Document, *, strict: bool) -> bool:
        """Raises DatabaseError and QueryRefused."""
        rules = {"validator": _bson(validator), "validationAction": "error" if strict else "warn"} if validator else {}
        async with _asking():
            return await _created(self._client[database], collection, rules)


async def _created(database: AsyncDatabase[_Bson], collection: str, rules: Mapping[str, Any]) -> bool:
    try:
        await database.command({"create": collection, **rules})
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
        return False
    return True


@asynccontextmanager
async def _telling() -> AsyncIterator[None]:
    """Every failure of the driver as a DatabaseError."""
    try:
        yield
    except PyMongoError as error:
        raise DatabaseError(_why(error)) from error


@asynccontextmanager
async def _asking() -> AsyncIterator[None]:
    """What the server refuses for its content as a QueryRefused, all else as a DatabaseError."""
    try:
        yield
    except OperationFailure as error:
        if error.code in _NOT_THIS_NODES_RIGHT:
            raise DatabaseError(_why(error)) from error
        raise QueryRefused(_why(error)) from error
    except (InvalidName, BSONError, OverflowError) as error:
        raise QueryRefused(f"the database cannot take this: {str(error)[:_WORDS]}") from error
    except PyMongoError as error:
        raise DatabaseError(_why(error)) from error


def _why(error: PyMongoError) -> str:
    if isinstance(error, OperationFailure):
        said = (error.details or {}).get("errmsg") or str(error).partition(", full error:")[0]
        return f"the database server refused it: {str(said)[:_WORDS]}"
    if isinstance(error, ServerSelectionTimeoutError | ConnectionFailure):
        return f"the database server cannot be reached: {_TOPOLOGY.split(str(error))[0][:_WORDS]}"
    return f"the database server could not be asked: {type(error).__name__}"


def _bson(document: Document) -> _Bson:
    """Extended JSON as the driver's own types. Raises QueryRefused."""
    try:
        found: _Bson = json_util.loads(json.dumps(document))
    except (BSONError, TypeError, ValueError, KeyError) as error:
        raise QueryRefused(f"a value is not valid extended JSON: {str(error)[:_WORDS]}") from error
    return found


def _extended(value: Any) -> Any:
    return json.loads(json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS))
