"""What a client repeats: reads, and what carries an Idempotency-Key; never anything else."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from protocol.client import transport
from protocol.client.transport import Refused, Transport, Unreachable
from protocol.headers import IDEMPOTENCY_KEY

KEY = {IDEMPOTENCY_KEY: "the-key"}
OK = httpx.Response(200, json={"code": 200, "message": "ok", "data": "done"})
AWAY = httpx.Response(503, json={"code": 503, "message": "try again", "data": None, "reason": "unavailable"})
BUSY = httpx.Response(409, json={"code": 409, "message": "busy", "data": None, "reason": "app_busy"})
Outcome = httpx.Response | httpx.TransportError | AttributeError


class Network(httpx.AsyncBaseTransport):
    """Gives one outcome after the other, the last one again and again."""

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)
        self.requests: list[tuple[str, str | None, bytes]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.headers.get(IDEMPOTENCY_KEY), await request.aread()))
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, httpx.TransportError | AttributeError):
            raise outcome
        return httpx.Response(outcome.status_code, content=outcome.content, headers=outcome.headers)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between tries."""
    monkeypatch.setattr(transport, "_SAFE_PAUSE_SECONDS", 0.0)


async def call(network: Network, method: str, headers: dict[str, str] | None, seconds: float | None = None) -> str:
    async with Transport("http://plane", {}, network=network, timeout=5) as line:
        return await line.call(method, "/", str, headers=headers, seconds=seconds)


@pytest.mark.parametrize(
    "outcomes",
    [
        (AWAY, OK),
        (httpx.ReadError("cut"), OK),
        (httpx.ConnectError("nobody"), AWAY, OK),
        (httpx.RemoteProtocolError("gone"), httpx.ReadTimeout("slow"), OK),
        (AttributeError("'NoneType' object has no attribute 'getpeername'"), OK),
    ],
)
async def test_a_request_with_a_key_is_repeated_as_it_was_until_its_outcome_is_known(
    outcomes: tuple[Outcome, ...],
) -> None:
    network = Network(*outcomes)
    assert await call(network, "POST", KEY) == "done"
    assert network.requests == [("POST", "the-key", b"")] * len(outcomes)


async def test_three_tries_are_all() -> None:
    away = Network(AWAY)
    with pytest.raises(Refused) as refused:
        await call(away, "POST", KEY)
    assert (refused.value.status, len(away.requests)) == (503, 3)
    closed = Network(AttributeError("'NoneType' object has no attribute 'getpeername'"))
    with pytest.raises(Unreachable, match="the connection was closed while it was made"):
        await call(closed, "POST", None)
    cut = Network(httpx.ReadError("cut"))
    with pytest.raises(Unreachable, match="does not answer: cut"):
        await call(cut, "POST", KEY)
    assert len(cut.requests) == 3


async def test_a_refusal_is_an_outcome() -> None:
    network = Network(BUSY, OK)
    with pytest.raises(Refused, match="busy"):
        await call(network, "POST", KEY)
    assert len(network.requests) == 1


@pytest.mark.parametrize("outcome", [AWAY, httpx.ReadError("cut")])
async def test_without_a_key_what_changes_something_is_sent_once(outcome: Outcome) -> None:
    network = Network(outcome, OK)
    with pytest.raises((Refused, Unreachable)):
        await call(network, "POST", None)
    assert len(network.requests) == 1


async def test_a_read_is_repeated_only_when_nobody_answers() -> None:
    network = Network(httpx.ReadError("cut"), OK)
    assert await call(network, "GET", None) == "done"
    away = Network(AWAY, OK)
    with pytest.raises(Refused):
        await call(away, "GET", None)
    assert len(away.requests) == 1


class Silent(httpx.AsyncBaseTransport):
    """Refuses once, then says nothing for ever."""

    def __init__(self, first: Callable[[], httpx.Response]) -> None:
        self._first = first
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        if self.calls > 1:
            await asyncio.Event().wait()
        return self._first()


async def test_all_tries_together_take_no_longer_than_one_may() -> None:
    def cut() -> httpx.Response:
        raise httpx.ReadError("cut")

    for first, error in (
        (cut, Unreachable),
        (lambda: httpx.Response(503, json={"code": 503, "message": "x"}), Refused),
    ):
        network = Silent(first)
        async with Transport("http://plane", {}, network=network) as line:
            with pytest.raises(error):
                await line.call("POST", "/", str, headers=KEY, seconds=0.05)
        assert network.calls == 2
