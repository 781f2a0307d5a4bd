"""A MongoDB that is none: its wire protocol, its users with SCRAM-SHA-256, and the few commands that we send.

Sources: MongoDB wire protocol (OP_MSG, OP_QUERY, OP_REPLY), RFC 5802 and RFC 7677. Who may do what is checked as the
server does: a user reads and writes the databases that its roles name, and `root` everything.
"""

import asyncio
import base64
import ctypes
import hashlib
import hmac
import os
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bson import ObjectId, decode, decode_all, encode

from tests.support.documents import Collection, Wrong

ADMIN = "admin of tests"
ADMIN_PASSWORD = "p@ss:w/rd?#[] %of&tests=ü"

_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_MORE_TO_COME = 2
_CLONE_NEWNET = 0x40000000
_ITERATIONS = 4096
_OPEN = frozenset({"hello", "ismaster", "isMaster", "saslStart", "saslContinue", "ping", "endSessions", "buildInfo"})
_HELLO = {
    "ismaster": True,
    "isWritablePrimary": True,
    "helloOk": True,
    "maxBsonObjectSize": 16 * 1024**2,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "logicalSessionTimeoutMinutes": 30,
    "readOnly": False,
}


@dataclass
class User:
    """Who may log in, and the databases that are its own; None is all."""

    password: str
    databases: frozenset[str] | None = None


@dataclass
class _Session:
    user: User | None = None
    nonce: str = ""
    said: str = ""
    claimed: User | None = None
    salt: bytes = b""


@dataclass
class MongoServer:
    """`users` by the database they log in at and their name; `broken` commands answer a code, `mute` ones nothing."""

    users: dict[tuple[str, str], User] = field(default_factory=dict)
    databases: dict[str, dict[str, Collection]] = field(default_factory=dict)
    broken: dict[str, tuple[int, str]] = field(default_factory=dict)
    mute: set[str] = field(default_factory=set)
    asked: list[dict[str, Any]] = field(default_factory=list)
    host: str = "127.0.0.1"
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)
    _cursors: dict[int, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict)

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a crash would."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._connections):
            writer.transport.abort()
        self._server = None

    def collection(self, database: str, name: str) -> Collection:
        """The collection, made when it is not there."""
        return self.databases.setdefault(database, {}).setdefault(name, Collection(ObjectId))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        session = _Session()
        try:
            while True:
                length, number, _, code = struct.unpack("<iiii", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                reply = await self._message(session, code, body)
                if reply is not None:
                    kind = _OP_REPLY if code == _OP_QUERY else _OP_MSG
                    writer.write(struct.pack("<iiii", 16 + len(reply), 0, number, kind) + reply)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _message(self, session: _Session, code: int, body: bytes) -> bytes | None:
        if code == _OP_QUERY:
            start = body.index(b"\0", 4) + 9
            answer = await self._answer(session, {"$db": "admin", **decode(body[start:])})
            return struct.pack("<iqii", 8, 0, 0, 1) + encode(answer)
        flags = struct.unpack_from("<I", body)[0]
        answer = await self._answer(session, _command(body[4:]))
        return None if flags & _MORE_TO_COME else struct.pack("<IB", 0, 0) + encode(answer)

    async def _answer(self, session: _Session, command: dict[str, Any]) -> dict[str, Any]:
        name = next(key for key in command if key != "$db")
        self.asked.append(command)
        if name in self.mute:
            await asyncio.Event().wait()
        try:
            if name in self.broken:
                code, text = self.broken[name]
                raise Wrong(code, text)
            self._admit(session, name, command["$db"])
            handle: Callable[..., dict[str, Any]] | None = getattr(self, f"_do_{name.lower()}", None)
            if handle is None:
                raise Wrong(59, f"no such command: '{name}'")
            return {**handle(session, command["$db"], command), "ok": 1.0}
        except Wrong as wrong:
            return {"ok": 0.0, "errmsg": str(wrong), "code": wrong.code, "codeName": "Refused"}

    def _admit(self, session: _Session, name: str, database: str) -> None:
        if not self.users or name in _OPEN:
            return
        if session.user is None:
            raise Wrong(13, f"Command {name} requires authentication")
        if session.user.databases is not None and database not in session.user.databases:
            raise Wrong(13, f"not authorized on {database} to execute command")
        if session.user.databases is not None and name in ("dropDatabase", "createUser", "usersInfo", "updateUser"):
            raise Wrong(13, f"not authorized on {database} to execute command")

    def _do_hello(self, _session: _Session, _database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        mechanisms = {"saslSupportedMechs": ["SCRAM-SHA-256"]} if "saslSupportedMechs" in command else {}
        return {**_HELLO, **mechanisms}

    _do_ismaster = _do_hello

    def _do_ping(self, _session: _Session, _database: str, _command: Mapping[str, Any]) -> dict[str, Any]:
        return {}

    _do_endsessions = _do_ping

    def _do_saslstart(self, session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        first = bytes(command["payload"]).decode().partition(",,")[2]
        fields = dict(part.split("=", 1) for part in first.split(","))
        name = fields["n"].replace("=2C", ",").replace("=3D", "=")
        session.claimed = self.users.get((database, name))
        session.salt, session.nonce = os.urandom(16), fields["r"] + base64.b64encode(os.urandom(12)).decode()
        answer = f"r={session.nonce},s={base64.b64encode(session.salt).decode()},i={_ITERATIONS}"
        session.said = f"{first},{answer}"
        return {"conversationId": 1, "payload": answer.encode(), "done": False}

    def _do_saslcontinue(self, session: _Session, _database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        if session.claimed is None:
            raise Wrong(18, "Authentication failed.")
        plain, _, proof = bytes(command["payload"]).decode().rpartition(",p=")
        secret = session.claimed.password.encode()
        salted = hashlib.pbkdf2_hmac("sha256", secret, session.salt, _ITERATIONS)
        key = hmac.digest(salted, b"Client Key", "sha256")
        said = f"{session.said},{plain}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), said, "sha256")
        wanted = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        if not plain.endswith(f"r={session.nonce}") or not hmac.compare_digest(base64.b64decode(proof), wanted):
            raise Wrong(18, "Authentication failed.")
        session.user = session.claimed
        ours = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        return {"conversationId": 1, "payload": b"v=" + base64.b64encode(ours), "done": True}

    def _do_createuser(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        key = (database, command["createUser"])
        if key in self.users:
            raise Wrong(51003, f"User {key[1]}@{key[0]} already exists")
        self.users[key] = _user(command)
        return {}

    def _do_updateuser(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        key = (database, command["updateUser"])
        if key not in self.users:
            raise Wrong(11, f"Could not find user {key[1]} for db {key[0]}")
        self.users[key] = _user(command)
        return {}

    def _do_dropuser(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        if self.users.pop((database, command["dropUser"]), None) is None:
            raise Wrong(11, f"User '{command['dropUser']}@{database}' not found")
        return {}

    def _do_usersinfo(self, _session: _Session, _database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        name = command["filter"]["user"]
        return {"users": [{"user": user, "db": realm} for realm, user in self.users if user == name]}

    def _do_dropdatabase(self, _session: _Session, database: str, _command: Mapping[str, Any]) -> dict[str, Any]:
        self.databases.pop(database, None)
        return {}

    def _do_listcollections(self, _session: _Session, database: str, _command: Mapping[str, Any]) -> dict[str, Any]:
        names = self.databases.get(database, {})
        found = [{"name": name, "type": "collection"} for name in names]
        return {"cursor": {"id": 0, "ns": f"{database}.$cmd.listCollections", "firstBatch": found}}

    def _do_create(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        name = command["create"]
        if name in self.databases.get(database, {}):
            raise Wrong(48, f"Collection {database}.{name} already exists.")
        made = self.collection(database, name)
        made.validator, made.strict = command.get("validator", {}), command.get("validationAction") == "error"
        return {}

    def _do_find(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        found = (
            self.databases.get(database, {})
            .get(command["find"], Collection(ObjectId))
            .find(
                command.get("filter", {}),
                command.get("projection", {}),
                command.get("sort", {}),
                command.get("skip", 0),
                command.get("limit", 0),
            )
        )
        namespace, batch = f"{database}.{command['find']}", command.get("batchSize", 101)
        number = len(self._cursors) + 1 if len(found) > batch else 0
        if number:
            self._cursors[number] = (namespace, found[batch:])
        return {"cursor": {"id": number, "ns": namespace, "firstBatch": found[:batch]}}

    def _do_getmore(self, _session: _Session, _database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        namespace, found = self._cursors.pop(command["getMore"], ("", []))
        batch = command.get("batchSize", 101)
        number = command["getMore"] if len(found) > batch else 0
        if number:
            self._cursors[number] = (namespace, found[batch:])
        return {"cursor": {"id": number, "ns": namespace, "nextBatch": found[:batch]}}

    def _do_killcursors(self, _session: _Session, _database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        for number in command["cursors"]:
            self._cursors.pop(number, None)
        return {"cursorsKilled": command["cursors"]}

    def _do_insert(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        for index, document in enumerate(command["documents"]):
            try:
                self.collection(database, command["insert"]).insert(document)
            except Wrong as wrong:
                return {"n": index, "writeErrors": [{"index": index, "code": wrong.code, "errmsg": str(wrong)}]}
        return {"n": len(command["documents"])}

    def _do_update(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        each = command["updates"][0]
        try:
            found = self.collection(database, command["update"])
            matched, modified, new = found.update(each["q"], each["u"], upsert=each.get("upsert", False))
        except Wrong as wrong:
            return {"n": 0, "nModified": 0, "writeErrors": [{"index": 0, "code": wrong.code, "errmsg": str(wrong)}]}
        upserted = {"upserted": [{"index": 0, "_id": new}]} if new is not None else {}
        return {"n": matched + int(new is not None), "nModified": modified, **upserted}

    def _do_delete(self, _session: _Session, database: str, command: Mapping[str, Any]) -> dict[str, Any]:
        return {"n": self.collection(database, command["delete"]).delete(command["deletes"][0]["q"])}


def _user(command: Mapping[str, Any]) -> User:
    return User(command["pwd"], frozenset(role["db"] for role in command["roles"] if role["role"] == "readWrite"))


def _command(sections: bytes) -> dict[str, Any]:
    command: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    while sections:
        kind, size = sections[0], struct.unpack_from("<i", sections, 1)[0]
        content = sections[1 : 1 + size]
        if kind == 0:
            command = decode(content)
        else:
            name, _, documents = content[4:].partition(b"\0")
            lists[name.decode()] = decode_all(documents)
        sections = sections[1 + size :]
    return {**command, **lists}


def _enter(namespace: str) -> None:
    """New sockets of this thread belong to a network namespace (setns(2), which Python has from 3.12 on)."""
    with Path("/run/netns", namespace).open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


@contextmanager
def mongo_beside(host: str = "127.0.0.1", namespace: str | None = None) -> Iterator[MongoServer]:
    """The same in a thread of its own, for tests that block, in a network namespace if one is named.

    Its users and databases may be read from outside.
    """
    loop = asyncio.new_event_loop()

    def serve() -> None:
        if namespace is not None:
            _enter(namespace)
        loop.run_forever()

    thread = threading.Thread(target=serve)
    thread.start()
    server = MongoServer({("admin", ADMIN): User(ADMIN_PASSWORD)}, host=host)

    async def end() -> None:
        await server.stop()
        await asyncio.sleep(0)

    try:
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(5)
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@asynccontextmanager
async def mongo_server() -> AsyncIterator[MongoServer]:
    """One that knows its administrator only."""
    server = MongoServer({("admin", ADMIN): User(ADMIN_PASSWORD)})
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
