"""A workspace node's files over real folders on a free port, and a client that signs what it sends as the API does."""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from aiohttp import web
from yarl import URL

from daemons.kit.auth import Access
from daemons.kit.clock import Clock, SystemClock
from daemons.kit.problems import problem_middleware
from daemons.kit.settings import load, revealed
from daemons.workspace.composition.files import FilePorts, add_files
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.http.problems import PROBLEMS
from daemons.workspace.http.signed import Signer
from daemons.workspace.ports import HomeError, Use
from daemons.workspace.ports.files import Rooms
from daemons.workspace.settings import WorkspaceSettings
from protocol import signing
from protocol.signing import Signable
from tests.support.openapi.watching import contracted

SECRET = "secret-of-the-tests-1234567890"
USER, APP = "7", "5"
FILES = "/api/fun-ai/workspace/files"
#: Whom the node makes files as: not root, if it can be another one.
UID = 1000 if os.geteuid() == 0 else os.geteuid()


@dataclass
class TwinHomes:
    """Homes that are plain folders of this machine."""

    root: Path
    broken: set[str] = field(default_factory=set)

    async def ready(self, user_id: str) -> Path:
        if user_id in self.broken:
            raise HomeError("its disk cannot be mounted")
        return await asyncio.to_thread(self.made, user_id)

    def made(self, user_id: str) -> Path:
        """The folder, there."""
        home = self.root / user_id
        for folder in (home, home / "apps", home / "run"):
            if not folder.exists():
                folder.mkdir(parents=True)
                os.chown(folder, UID, UID)
        return home


@dataclass
class TwinActivity:
    """What was used, in order."""

    touched: list[tuple[str, Use]] = field(default_factory=list)

    def touch(self, user_id: str, use: Use) -> None:
        self.touched.append((user_id, use))


@dataclass
class TwinEnsure:
    """Whose containers were to run."""

    users: list[str] = field(default_factory=list)

    async def ensured(self, user_id: str) -> None:
        self.users.append(user_id)


@dataclass(frozen=True)
class Answer:
    """What the node said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The envelope."""
        document: dict[str, Any] = orjson.loads(self.body)
        return document

    @property
    def data(self) -> Any:
        """What is in the envelope."""
        return self.document["data"]


@dataclass
class SignedCalls:
    """Calls that carry valid signatures."""

    session: aiohttp.ClientSession
    url: str

    async def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | str = "",
        body: bytes | object = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One whole call; a body that is no bytes is sent as JSON. The query may be given as it is on the wire."""
        async with self.opened(method, path, query, body, headers) as response:
            return Answer(response.status, response.headers, await response.read())

    @asynccontextmanager
    async def opened(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | str = "",
        body: bytes | object = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is read piece by piece."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        raw = on_the_wire(path, query)
        signed = self.signed(method, raw, hashlib.sha256(data).hexdigest())
        sent = {**signed, **(headers or {})}
        url = URL(self.url + raw, encoded=True)
        async with self.session.request(method, url, data=BytesIO(data) if data else None, headers=sent) as response:
            yield response

    async def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, object] | str,
        pieces: Sequence[bytes] | AsyncIterator[bytes],
        headers: Mapping[str, str] | None = None,
        *,
        forged: bool = False,
    ) -> Answer:
        """A call whose body is signed at its end; a forged one is signed wrongly."""
        raw = on_the_wire(path, query)
        signed = self.signed(method, raw, signing.STREAMED)

        async def body() -> AsyncIterator[bytes]:
            digest = hashlib.sha256()
            async for piece in _each(pieces):
                digest.update(piece)
                yield piece
            proof = signing.trailer(SECRET, signed[signing.SIGNATURE], digest.digest())
            yield bytes(32) if forged else proof

        sent = {**signed, signing.BODY: signing.TRAILER, **(headers or {})}
        url = URL(self.url + raw, encoded=True)
        async with self.session.request(method, url, data=body(), headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    def signed(self, method: str, raw: str, digest: str) -> dict[str, str]:
        """The headers that prove a request."""
        path, _, query = raw.partition("?")
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        signature = signing.sign(SECRET, Signable(method, path, query, digest, timestamp, nonce))
        return {signing.TIMESTAMP: timestamp, signing.NONCE: nonce, signing.SIGNATURE: signature}


@dataclass
class FilesNode:
    """A running node with one user, who has one app."""

    homes: TwinHomes
    activity: TwinActivity
    ensure: TwinEnsure
    calls: SignedCalls

    @property
    def home(self) -> Path:
        """The user's folder."""
        return self.homes.root / USER

    @property
    def app(self) -> Path:
        """The app's folder."""
        return self.home / "apps" / APP

    async def get(self, call: str, headers: Mapping[str, str] | None = None, **query: object) -> Answer:
        """A question about the app's files."""
        return await self.calls.call("GET", f"{FILES}/{call}", whose() | query, headers=headers)

    async def order(self, call: str, headers: Mapping[str, str] | None = None, **body: object) -> Answer:
        """An order as JSON."""
        return await self.calls.call("POST", f"{FILES}/{call}", "", whose() | body, headers)

    def put(self, path: str, content: bytes | str = b"") -> Path:
        """A file as the user's own processes make it."""
        file = self.app / path
        missing = [folder for folder in file.parents if not folder.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        for each in (*missing, file):
            os.chown(each, UID, UID)
        return file

    def link(self, path: str, target: str | Path) -> Path:
        """A symbolic link as the user's own processes make it."""
        link = self.app / path
        link.symlink_to(target)
        os.lchown(link, UID, UID)
        return link

    def leftovers(self) -> list[str]:
        """What lies in the user's folder that is none of the user's."""
        staging = self.home / ".staging"
        strangers = [str(path) for path in self.home.rglob("*") if path.lstat().st_uid != UID]
        return strangers + ([path.name for path in staging.iterdir()] if staging.exists() else [])


def whose(user_id: str = USER, app_id: str = APP) -> dict[str, object]:
    """Whom and what a call is about."""
    return {"userId": user_id, "appId": app_id}


def on_the_wire(path: str, query: Mapping[str, object] | str) -> str:
    """Path and query of a request line."""
    text = query if isinstance(query, str) else urlencode({name: _text(value) for name, value in query.items()})
    return f"{path}?{text}" if text else path


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


async def _each(pieces: Sequence[bytes] | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if isinstance(pieces, Sequence):
        for piece in pieces:
            yield piece
    else:
        async for piece in pieces:
            yield piece


@asynccontextmanager
async def files_node(
    root: Path, clock: Clock | None = None, port: int = 0, rooms: Rooms | None = None, **more: str
) -> AsyncIterator[FilesNode]:
    """A node whose users' folders lie below `root/homes`."""
    homes, activity, ensure = TwinHomes(root / "homes"), TwinActivity(), TwinEnsure()
    ports = FilePorts(homes, activity, ensure, clock or SystemClock(), rooms)
    async with serving(settings(root, **more), ports, port) as url:
        app = await homes.ready(USER) / "apps" / APP
        app.mkdir(exist_ok=True)
        os.chown(app, UID, UID)
        async with aiohttp.ClientSession() as session:
            yield FilesNode(homes, activity, ensure, SignedCalls(session, url))


def settings(root: Path, **more: str) -> WorkspaceSettings:
    """A node's settings over folders of the test."""
    known = {
        "WORKSPACE_NODE_INTERNAL_SHARED_SECRET": SECRET,
        "FUNAI_WORKSPACE_NGINXAUTHTOKEN": "gateway-token-of-tests-1",
        "FUNAI_WORKSPACE_HOSTROOT": str(root / "homes"),
        "FUNAI_WORKSPACE_STATEROOT": str(root / "state"),
        "FUNAI_WORKSPACE_UID": UID,
    }
    return load(WorkspaceSettings, **(known | more))


@asynccontextmanager
async def serving(asked: WorkspaceSettings, ports: FilePorts, port: int = 0) -> AsyncIterator[str]:
    """The files' routes alone, as the node puts them together; their address."""
    async with served(asked, lambda wiring: add_files(wiring, ports), port) as url:
        yield url


@asynccontextmanager
async def served(asked: WorkspaceSettings, add: Callable[[Wiring], object], port: int = 0) -> AsyncIterator[str]:
    """Some of the node's routes behind the proofs that it wants of all; their address."""
    access, signer = Access(), Signer(revealed(asked.shared_secrets), asked.max_skew_seconds, SystemClock())
    app = web.Application(
        middlewares=[problem_middleware(PROBLEMS), signer.middleware(), access.middleware()],
        client_max_size=16 * 1024 * 1024,
    )
    add(Wiring(app, access, signer, asked))
    # Who goes away in the middle of a body is read on for ten seconds otherwise.
    runner = web.AppRunner(app, shutdown_timeout=1)
    with contracted(app, "workspace"):
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()
