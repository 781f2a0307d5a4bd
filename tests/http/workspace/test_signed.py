"""Signatures over whole requests: what is forged, repeated, old or cut short changes nothing."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from ipaddress import ip_network

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from daemons.kit.auth import Access, Network
from daemons.kit.clock import SystemClock
from daemons.kit.problems import problem_middleware
from daemons.workspace.http.problems import PROBLEMS
from daemons.workspace.http.signed import WHOLE_BYTES, Body, Signer
from protocol import signing

SECRETS = ("the-secret-of-today-1", "the-secret-of-tomorrow")
LONG = 17 * 1024 * 1024


@dataclass
class Served:
    """An application with one route that takes whole bodies and one that reads them itself; what it did is kept."""

    url: str
    done: list[bytes] = field(default_factory=list)

    async def send(
        self,
        target: str,
        body: bytes,
        *,
        secret: str = SECRETS[0],
        sent: bytes | None = None,
        changed: Mapping[str, str] | None = None,
    ) -> int:
        """The status of a signed POST; `changed` are parts of what is signed, in place of the right ones."""
        raw, _, query = target.partition("?")
        parts = {
            "method": "POST",
            "path": raw,
            "query": query,
            "digest": hashlib.sha256(body).hexdigest(),
            "timestamp": str(int(time.time())),
            "nonce": secrets.token_hex(16),
        } | dict(changed or {})
        signed = signing.Signable(**parts)
        headers = {
            signing.TIMESTAMP: signed.timestamp,
            signing.NONCE: signed.nonce,
            signing.SIGNATURE: signing.sign(secret, signed),
        }
        return await self.post(target, body if sent is None else sent, headers)

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        address = URL(self.url + path, encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.post(address, data=BytesIO(body), headers=headers) as got,
        ):
            return got.status

    async def stream(self, body: bytes, *, trailer: bytes | None = None, cut: int | None = None) -> int:
        """The status of a body that is signed while it is sent."""
        now = str(int(time.time()))
        signed = signing.Signable("POST", "/long", "", signing.STREAMED, now, secrets.token_hex(16))
        signature = signing.sign(SECRETS[1], signed)
        end = signing.trailer(SECRETS[1], signature, hashlib.sha256(body).digest()) if trailer is None else trailer
        headers = {
            signing.TIMESTAMP: signed.timestamp,
            signing.NONCE: signed.nonce,
            signing.SIGNATURE: signature,
            signing.BODY: signing.TRAILER,
        }
        return await self.post("/long", (body + end)[:cut], headers)


@pytest.fixture
def admitted() -> tuple[Network, ...]:
    """Where signed requests may come from."""
    return ()


@pytest.fixture
async def served(admitted: tuple[Network, ...]) -> AsyncIterator[Served]:
    signer, access, found = Signer(SECRETS, 60, SystemClock(), admitted), Access(), Served("")

    async def whole(request: web.Request) -> web.Response:
        found.done.append(await request.read())
        return web.Response()

    async def long(request: web.Request) -> web.Response:
        pieces = [piece async for piece in Body(request, signer).pieces()]
        found.done.append(b"".join(pieces))
        return web.Response()

    app = web.Application(
        middlewares=[problem_middleware(PROBLEMS), signer.middleware(), access.middleware()], client_max_size=2 * LONG
    )
    app.add_routes(access.routes([web.post("/whole", whole)], signer.gate()))
    app.add_routes(access.routes([web.post("/long", long)], signer.body_gate()))
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    found.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
    yield found
    await runner.cleanup()


async def test_a_signed_request_is_heard_with_either_secret(served: Served) -> None:
    assert await served.send("/whole?b=2&a=%2F", b"{}") == 200
    assert await served.send("/whole", b"", secret=SECRETS[1]) == 200
    assert served.done == [b"{}", b""]


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"path": "/other"},
        {"query": "a=1"},
        {"digest": hashlib.sha256(b"another").hexdigest()},
        {"timestamp": "1"},
        {"timestamp": "99999999999"},
        {"nonce": "short"},
        {"nonce": "n" * 65},
    ],
)
async def test_what_differs_from_what_was_signed_is_refused(served: Served, changed: dict[str, str]) -> None:
    assert await served.send("/whole", b"{}", changed=changed) == 401
    assert served.done == []


async def test_a_strangers_secret_and_a_changed_body_are_refused(served: Served) -> None:
    assert await served.send("/whole", b"{}", secret="a-strangers-own-secret") == 401
    assert await served.send("/whole", b'{"userId":1}', sent=b'{"userId":2}') == 401
    assert await served.send("/long", b"x" * LONG, sent=b"y" * LONG) == 401
    assert served.done == []


async def test_a_request_is_heard_once(served: Served) -> None:
    nonce = secrets.token_hex(16)
    statuses = [await served.send("/whole", b"{}", changed={"nonce": nonce}) for _ in range(3)]
    assert statuses == [200, 401, 401]
    # A stranger who names it does not use it up.
    other = secrets.token_hex(16)
    assert await served.send("/whole", b"{}", changed={"nonce": other}, secret="a-strangers-own-secret") == 401
    assert await served.send("/whole", b"{}", changed={"nonce": other}) == 200


async def test_a_long_body_is_for_routes_that_read_it_alone(served: Served) -> None:
    """It cannot be proven before the handler runs, so no other route hears it; whoever sent it learns the limit."""
    assert await served.send("/whole", b"x" * LONG) == 413
    assert served.done == []
    assert await served.send("/whole", b"x" * WHOLE_BYTES) == 200
    assert [len(one) for one in served.done] == [WHOLE_BYTES]
    served.done.clear()
    assert await served.send("/long", b"x" * LONG) == 200
    assert [len(one) for one in served.done] == [LONG]


async def test_a_body_that_is_signed_while_it_is_sent(served: Served) -> None:
    assert await served.stream(b"z" * LONG) == 200
    assert await served.stream(b"") == 200
    assert await served.stream(b"short") == 200
    assert [len(one) for one in served.done] == [LONG, 0, 5]
    assert await served.stream(b"z" * 1000, trailer=b"t" * 32) == 401
    assert await served.stream(b"z" * 1000, cut=900) == 401
    assert await served.stream(b"z" * 1000, cut=16) == 401
    assert len(served.done) == 3


async def test_nothing_unsigned_is_heard(served: Served) -> None:
    statuses = await asyncio.gather(*(served.post(path, b"", {}) for path in ("/whole", "/long")))
    assert statuses == [401, 401]


@pytest.mark.parametrize("admitted", [(ip_network("10.0.0.0/8"),)])
async def test_a_signed_request_from_elsewhere_is_refused(served: Served) -> None:
    assert await served.send("/whole", b"{}") == 403
    assert await served.stream(b"short") == 403
    assert served.done == []
