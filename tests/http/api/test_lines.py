"""Many lines through a real API server: each carries what is said on it, and nothing is left of one that has ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import httpx
import psutil
import pytest
from aiohttp import web

from daemons.api.domain.forwarding import PREFIX
from protocol.accounts import LoggedIn, Role
from protocol.client.api import bearer
from protocol.headers import ADMIN_TOKEN
from tests.http.api.conftest import (
    ACCOUNTS,
    ADMIN,
    OTHER,
    OWNER,
    PASSWORD,
    Api,
    logged_in,
    serving,
    with_account,
)
from tests.http.api.test_forwarding import placed
from tests.support.eventually import eventually

LINES = 200


class Terminals:
    """A node's end of lines."""

    def __init__(self) -> None:
        self.open: set[web.WebSocketResponse] = set()

    async def line(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        self.open.add(socket)
        try:
            async for message in socket:
                await socket.send_str(message.data)
        finally:
            self.open.discard(socket)
        return socket

    async def events(self, request: web.Request) -> web.StreamResponse:
        """One, and then nothing but signs of life."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(0.5)
                await response.write(b":\n\n")
        return response


@asynccontextmanager
async def node_of_lines() -> AsyncIterator[tuple[Terminals, str]]:
    """A node, and its address."""
    terminals, app = Terminals(), web.Application()
    app.router.add_get(f"{PREFIX}/terminal", terminals.line)
    app.router.add_get(f"{PREFIX}/realtime/events", terminals.events)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield terminals, f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def terminals(api: Api) -> AsyncIterator[Terminals]:
    async with node_of_lines() as (terminals, url):
        await placed(api, url, 1, 2)
        yield terminals


async def files() -> int:
    """What this process has open, sockets included."""
    return await asyncio.to_thread(psutil.Process().num_fds)


async def test_many_lines_each_echo_and_leave_nothing(api: Api, terminals: Terminals) -> None:
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        before, tasks = await files(), len(asyncio.all_tasks())
        async with AsyncExitStack() as lines:
            opened = []
            for number in range(LINES):
                who = OWNER if number % 2 else OTHER
                line = session.ws_connect(f"{api.url}{PREFIX}/terminal", headers=bearer(who))
                opened.append(await lines.enter_async_context(line))
            assert len(terminals.open) == LINES

            async def echo(number: int) -> str:
                await opened[number].send_str(f"line {number}")
                return str((await opened[number].receive(60)).data)

            heard = await asyncio.gather(*map(echo, range(LINES)))
            assert heard == [f"line {number}" for number in range(LINES)]

        async def nothing_left() -> bool:
            # What is kept alive for the next call is counted by its own limits: a few connections of the test itself.
            return not terminals.open and len(asyncio.all_tasks()) <= tasks + 2 and await files() <= before + 4

        await eventually(nothing_left)


@dataclass
class Replicas:
    """Two processes' worth of API on one database: people are logged out at one while their lines go through the
    other."""

    here: Api
    there: Api
    terminals: Terminals


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    url, accounts = f"sqlite:///{tmp_path}/api.db", replace(ACCOUNTS, recheck_seconds=0.05)
    async with (
        serving(tmp_path, accounts=accounts, database_url=url) as here,
        serving(tmp_path, accounts=accounts, database_url=url) as there,
        node_of_lines() as (terminals, node),
    ):
        await placed(here, node, 1, 2)
        yield Replicas(here, there, terminals)


async def admin(api: Api, order: str, body: dict[str, object]) -> None:
    answer = await api.raw.post(f"/api/fun-ai/admin/users/{order}", json=body, headers={ADMIN_TOKEN: ADMIN})
    assert answer.status_code == 200, answer.text


async def said(api: Api, path: str, body: Mapping[str, object], who: LoggedIn) -> None:
    answer = await api.raw.post(f"/api/fun-ai/auth/{path}", json=body, headers=bearer(who.access_token))
    assert answer.status_code == 200, answer.text


Order = Callable[[Api, LoggedIn], Awaitable[None]]
CHANGE = {"currentPassword": PASSWORD, "newPassword": PASSWORD[::-1]}
ENDS: dict[str, Order] = {
    "logout": lambda api, who: said(api, "logout", {}, who),
    "disabled": lambda api, _: admin(api, "set-enabled", {"userId": 1, "enabled": False}),
    "another role": lambda api, _: admin(api, "set-role", {"userId": 1, "role": "operator"}),
    "another password": lambda api, _: admin(api, "set-password", {"userId": 1, "password": PASSWORD[::-1]}),
}


@asynccontextmanager
async def line(api: Api, token: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{api.url}{PREFIX}/terminal", headers=bearer(token)) as socket,
    ):
        yield socket


async def echoes(socket: aiohttp.ClientWebSocketResponse) -> bool:
    await socket.send_str("there?")
    return bool((await socket.receive(60)).data == "there?")


@pytest.mark.parametrize("reason", ENDS)
async def test_a_terminal_ends_with_the_right_to_it(replicas: Replicas, reason: str) -> None:
    owner = await with_account(replicas.here, "owner", Role.USER, 1)
    stranger = await with_account(replicas.here, "stranger", Role.USER, 2)
    async with line(replicas.there, owner.access_token) as mine, line(replicas.there, stranger.access_token) as other:
        assert await echoes(mine) and await echoes(other)
        await ENDS[reason](replicas.here, owner)
        ended = await mine.receive(60)
        assert (ended.type, ended.data) == (aiohttp.WSMsgType.CLOSE, 1008)
        assert "log in again" in str(ended.extra)
        assert await echoes(other)

        async def one_left() -> bool:
            return len(replicas.terminals.open) == 1

        await eventually(one_left)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with line(replicas.there, owner.access_token):
            pytest.fail("who may not go on may not come again")
    assert refusal.value.status == 401


async def test_another_session_of_the_same_person_goes_on(replicas: Replicas) -> None:
    first = await with_account(replicas.here, "owner", Role.USER, 1)
    second = await logged_in(replicas.here, "owner")
    async with line(replicas.there, first.access_token) as mine, line(replicas.there, second.access_token) as other:
        await said(replicas.here, "password", CHANGE, second)
        assert (await mine.receive(60)).data == 1008
        assert await echoes(other)
        await said(replicas.here, "logout", {"everywhere": True}, second)
        assert (await other.receive(60)).data == 1008


async def test_a_key_that_is_taken_away_takes_its_lines_along(replicas: Replicas) -> None:
    owner = await with_account(replicas.here, "owner", Role.USER, 1)
    raw, mine = replicas.here.raw, bearer(owner.access_token)
    keys = [
        (await raw.post("/api/fun-ai/user/api-keys", json={"title": title}, headers=mine)).json()["data"]
        for title in ("laptop", "server")
    ]
    async with line(replicas.there, keys[0]["key"]) as taken, line(replicas.there, keys[1]["key"]) as kept:
        gone = await raw.delete(f"/api/fun-ai/user/api-keys?keyId={keys[0]['id']}", headers=mine)
        assert gone.is_success
        assert (await taken.receive(60)).data == 1008
        assert await echoes(kept)


async def test_a_token_of_the_settings_ends_with_its_account(replicas: Replicas) -> None:
    await with_account(replicas.here, "owner", Role.USER, 1)
    async with line(replicas.there, OWNER) as mine, line(replicas.there, OTHER) as other:
        await admin(replicas.here, "set-enabled", {"userId": 1, "enabled": False})
        assert (await mine.receive(60)).data == 1008
        assert await echoes(other)


async def test_events_break_off_with_the_right_to_them(replicas: Replicas) -> None:
    owner = await with_account(replicas.here, "owner", Role.USER, 1)
    path, headers = f"{PREFIX}/realtime/events", bearer(owner.access_token)
    async with replicas.there.raw.stream("GET", path, headers=headers, timeout=60) as events:
        pieces = events.aiter_raw()
        assert await anext(pieces) == b"data: one\n\n"
        await said(replicas.here, "logout", {}, owner)
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in pieces:
                continue


async def test_the_output_of_an_app_breaks_off_with_the_right_to_it(replicas: Replicas) -> None:
    owner = await with_account(replicas.here, "owner", Role.USER, 1)
    app = await replicas.here.owner.create_app()
    job = await replicas.there.owner.deploy(str(app.id))
    replicas.there.plane.logs[job.id] = b"building\n"
    path = f"/api/fun-ai/deploy/job/log?jobId={job.id}&follow=1"
    async with replicas.there.raw.stream("GET", path, headers=bearer(owner.access_token), timeout=60) as log:
        pieces = log.aiter_raw()
        assert await anext(pieces) == b"building\n"
        await said(replicas.here, "logout", {}, owner)
        with pytest.raises(httpx.RemoteProtocolError):
            async for _ in pieces:
                continue
