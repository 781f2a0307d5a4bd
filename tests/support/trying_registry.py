"""A real registry behind a door that tries its callers' patience, and a token service as Harbor has one.

The door passes every request on as it is, the `Host` too, so that the registry names the door in the addresses that it
gives; a trouble answers in its place, or breaks the connection, as often as it is told.
"""

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support import real

_HOP: tuple[str, ...] = ("transfer-encoding", "content-length", "connection", "content-encoding")
SERVICE = "harbor-registry"


@dataclass
class Trouble:
    """What happens instead of an answer, so many times, to requests that it is for; `status` 0 breaks the connection
    off in the middle of the request."""

    status: int
    times: int = 1
    what: Callable[[web.Request], bool] = lambda _request: True
    code: str = "UNKNOWN"
    headers: dict[str, str] = field(default_factory=dict)


def to_manifests(request: web.Request) -> bool:
    """A manifest is written."""
    return request.method == "PUT" and "/manifests/" in request.path


def to_uploads(request: web.Request) -> bool:
    """Something of a blob's upload."""
    return "/blobs/uploads" in request.path and request.method != "HEAD"


@dataclass
class Door:
    """The way to a registry."""

    registry: str
    host: str = ""
    troubles: list[Trouble] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    #: Cleared, writers of manifests wait for it.
    open: asyncio.Event = field(default_factory=asyncio.Event)
    #: Bytes that were read, by path.
    sent: Counter[str] = field(default_factory=Counter)
    #: Set when the first of them came.
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    #: Seconds that every request takes longer.
    delay: float = 0
    #: Gives another answer than the registry's.
    rewrite: Callable[[web.Request, bytes], bytes] | None = None

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.seen.append((request.method, request.path))
        await asyncio.sleep(self.delay)
        trouble = next((each for each in self.troubles if each.times and each.what(request)), None)
        if trouble is not None:
            trouble.times -= 1
            return await self._troubled(request, trouble)
        if to_manifests(request):
            self.arrived.set()
            await self.open.wait()
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method,
                f"http://{self.registry}{request.raw_path}",
                headers={name: value for name, value in request.headers.items() if name.lower() not in _HOP[:1]},
                data=request.content if request.body_exists else None,
                allow_redirects=False,
            ) as answer,
        ):
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            body = await answer.read()
            self.sent[request.path] += len(body)
            if request.method == "HEAD":
                headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            elif self.rewrite is not None:
                body = self.rewrite(request, body)
            return web.Response(status=answer.status, body=body, headers=headers)

    async def _troubled(self, request: web.Request, trouble: Trouble) -> web.Response:
        if trouble.status:
            errors = {"errors": [{"code": trouble.code, "message": "trouble made for a test"}]}
            return web.json_response(errors, status=trouble.status, headers=trouble.headers)
        await request.content.readany()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


@asynccontextmanager
async def door(registry: str, host: str = "127.0.0.1") -> AsyncIterator[Door]:
    """A door of its own to a registry; its name is on `host`."""
    made = Door(registry)
    made.open.set()
    app = web.Application(client_max_size=1024**3)
    app.router.add_route("*", "/{path:.*}", made.pass_on)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.host = f"{host}:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        made.open.set()
        await runner.cleanup()


@dataclass
class TokenService:
    """Gives signed tokens to one account, to others such that open nothing."""

    folder: Path
    login: tuple[str, str]
    url: str = ""
    asked: list[tuple[str | None, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self._key.public_key())
        made = made.serial_number(1).not_valid_before(now - timedelta(days=1))
        self._certificate = made.not_valid_after(now + timedelta(days=1)).sign(self._key, hashes.SHA256())
        self.bundle = self.folder / "tokens.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    async def give(self, request: web.Request) -> web.Response:
        """`GET /service/token?service=...&scope=repository:NAME:ACTIONS`."""
        proof = request.headers.get("Authorization")
        self.asked.append((request.query.get("scope"), proof))
        expected = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        if proof is not None and proof != expected:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        scopes = request.query.getall("scope", []) if proof else []
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":", 2)
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        return web.json_response({"token": self._token(access), "expires_in": 300})

    def _token(self, access: list[dict[str, Any]]) -> str:
        der = self._certificate.public_bytes(serialization.Encoding.DER)
        now = int(time.time())
        head = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode()]}
        claims = {"iss": "tests", "sub": self.login[0], "aud": SERVICE, "exp": now + 300, "nbf": now - 60, "iat": now}
        claims |= {"jti": "1", "access": access}
        text = ".".join(_encoded(json.dumps(each).encode()) for each in (head, claims))
        return f"{text}.{_encoded(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


@asynccontextmanager
async def token_service(folder: Path, login: tuple[str, str]) -> AsyncIterator[TokenService]:
    """A token service on this machine."""
    made = TokenService(folder, login)
    app = web.Application()
    app.router.add_get("/service/token", made.give)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/service/token"
    try:
        yield made
    finally:
        await runner.cleanup()


@contextmanager
def registry_with_tokens(folder: Path, service: TokenService) -> Iterator[str]:
    """`host:port` of a registry that believes the token service alone."""
    auth = (
        f"auth:\n  token:\n    realm: {service.url}\n    service: {SERVICE}\n    issuer: tests\n"
        f"    rootcertbundle: {service.bundle}\n"
    )
    with real.registry(folder, auth=auth) as host:
        yield host


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
