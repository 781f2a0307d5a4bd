"""Calls through a real API server to the files of a real workspace node, and what must never get there."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import httpx
import pytest
from aiohttp import web
from yarl import URL

from daemons.api.domain.forwarding import PREFIX
from daemons.kit.bodies import reply
from daemons.workspace.adapters.registry import HttpRegistry
from daemons.workspace.ports.registry import RegistryError
from protocol.client.api import bearer
from protocol.client.transport import Transport
from protocol.client.workspace_admin import WorkspaceAdminClient, WorkspaceRegistryClient
from protocol.headers import ADMIN_TOKEN, WORKSPACE_NODE_TOKEN
from protocol.workspace_nodes import WorkspaceNodeHeartbeat
from protocol.workspace_previews import PreviewAccess, Visibility
from tests.http.api.conftest import ADMIN, NODE_TOKEN, OTHER, OWN_NODE_TOKEN, OWNER, Api
from tests.support.eventually import eventually
from tests.support.workspace_calls import FilesNode, files_node

FILES = f"{PREFIX}/files"
#: Where a node may answer any bytes, and where lines are.
ANY, LINE = f"{FILES}/download-file", f"{{}}{PREFIX}/terminal"
MINE = bearer(OWNER)


class Stand:
    """What a forwarded request looks like from inside a node, and what a node can answer: as it `acts`."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.hold = asyncio.Event()
        self.acts = "calm"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        answered: web.StreamResponse = await getattr(self, f"_{self.acts}")(request)
        return answered

    async def _calm(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=request.raw_path.encode(), content_type="application/octet-stream")

    async def _shown(self, request: web.Request) -> web.StreamResponse:
        shown = PreviewAccess(user_id="1", app_id="20001", visibility=Visibility.PRIVATE, generation=1)
        return reply(shown)

    async def _cookies(self, _request: web.Request) -> web.StreamResponse:
        told = {"Set-Cookie": "a=b", "X-WS-Secret": "s", "X-WS-Log-Version": "json-v2", "Server": "node"}
        return web.Response(body=b"x", content_type="application/octet-stream", headers=told)

    async def _torn(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"the first half")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await self.hold.wait()
        await response.write(b"data: two\n\n")
        return response

    async def _dead(self, request: web.Request) -> web.StreamResponse:
        if len(self.seen) % 2 and request.transport is not None:
            request.transport.abort()
        return web.Response(body=b"%d" % len(self.seen), content_type="application/octet-stream")

    async def _locked(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=401)

    async def _line(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT and message.data == "end":
                await socket.close(code=4242, message=b"over")
            elif message.type is aiohttp.WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.PING:
                await socket.pong(message.data + b"!")
        self.seen.append(request)
        return socket


@pytest.fixture
async def stand(api: Api) -> AsyncIterator[Stand]:
    stand = Stand()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", stand.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await placed(api, f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        yield stand
    finally:
        stand.hold.set()
        await runner.cleanup()


@pytest.fixture
async def node(api: Api, tmp_path: Path) -> AsyncIterator[FilesNode]:
    async with files_node(tmp_path) as node:
        await heard(api, node.calls.url)
        yield node


async def heard(api: Api, url: str) -> None:
    body = {"nodeName": "ws-1", "nginxBaseUrl": url, "apiBaseUrl": url}
    assert (
        await api.raw.post(
            "/api/fun-ai/admin/workspace-nodes/heartbeat", json=body, headers={WORKSPACE_NODE_TOKEN: NODE_TOKEN}
        )
    ).is_success


async def placed(api: Api, url: str, *users: int) -> None:
    """These users, by default the owner, live on the node at that address."""
    await heard(api, url)
    for user in users or (1,):
        body = {"userId": user, "targetNodeId": 1}
        order = await api.raw.post(
            "/api/fun-ai/admin/workspace-nodes/reassign", json=body, headers={ADMIN_TOKEN: ADMIN}
        )
        assert order.is_success


async def own_app(api: Api) -> str:
    app = str((await api.owner.create_app()).id)
    made = await api.raw.post(f"{FILES}/ensure-dir?appId={app}", headers=MINE)
    assert made.status_code == 200, made.text
    return app


async def write(api: Api, query: str = "", **body: object) -> httpx.Response:
    return await api.raw.post(f"{FILES}/content{query}", json=body, headers=MINE)


async def test_files_are_written_and_read_through_the_api(api: Api, node: FilesNode) -> None:
    app = await own_app(api)
    saved = await write(api, userId=1, appId=app, path="a b/ä.txt", content="hello")
    assert saved.status_code == 200, saved.text
    read = await api.raw.get(f"{FILES}/content", params={"appId": app, "path": "a b/ä.txt"}, headers=MINE)
    assert read.json()["data"]["content"] == "hello"
    assert (node.homes.root / "1/apps" / app / "a b/ä.txt").read_text() == "hello"
    # Who says neither user nor epoch is who the token says.
    assert (await write(api, appId=app, path="b", content="x")).status_code == 200


async def test_refusals_of_the_node_come_back_as_they_are(api: Api, node: FilesNode) -> None:
    app = await own_app(api)
    absent = await api.raw.get(f"{FILES}/content?appId={app}&path=none", headers=MINE)
    assert absent.status_code == 404 and absent.json()["code"] == 404


async def test_a_long_upload_passes_and_proves_itself(api: Api, node: FilesNode) -> None:
    app, data = await own_app(api), bytes(range(256)) * 40_000
    query = f"appId={app}&path=big.bin"
    form = await api.raw.post(f"{FILES}/upload-file?{query}", files={"file": ("big.bin", data)}, headers=MINE)
    assert form.status_code == 200, form.text
    kept = node.homes.root / "1/apps" / app / "big.bin"
    assert hashlib.sha256(kept.read_bytes()).digest() == hashlib.sha256(data).digest()
    back = await api.raw.get(f"{FILES}/download-file?{query}", headers=MINE)
    assert back.content == data
    assert back.headers["X-Content-Type-Options"] == "nosniff"


async def test_archives_and_uploads_in_parts_pass(api: Api, node: FilesNode) -> None:
    app, packed = await own_app(api), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.html", "<p>hi")
    sent = {"file": ("x.zip", packed.getvalue())}
    assert (await api.raw.post(f"{FILES}/upload-zip?appId={app}", files=sent, headers=MINE)).status_code == 200
    assert (node.homes.root / "1/apps" / app / "index.html").read_text() == "<p>hi"
    tus = {**MINE, "Tus-Resumable": "1.0.0"}
    made = await api.raw.post(f"{FILES}/uploads?appId={app}&path=t.bin", headers={**tus, "Upload-Length": "6"})
    assert made.status_code == 201, made.text
    part = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    added = await api.raw.patch(made.headers["Location"], content=b"sixsix", headers=part)
    assert added.status_code == 204, added.text
    assert (node.homes.root / "1/apps" / app / "t.bin").read_bytes() == b"sixsix"


async def test_an_upload_that_is_cut_off_leaves_nothing(api: Api, node: FilesNode) -> None:
    app = await own_app(api)

    async def torn() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await api.raw.post(f"{FILES}/upload-file?appId={app}&path=cut", content=torn(), headers=MINE)
    listed = await api.raw.get(f"{FILES}/tree?appId={app}", headers=MINE)
    assert listed.json()["data"]["nodes"] == []


FOREIGN_QUERIES = [
    ("userId=2", 403),
    ("userId=1&userId=2", 400),
    ("userId=1&%75serId=2", 400),
    ("%75serId=2", 403),
    ("user_id=2", 400),
    ("USERID=2", 400),
    ("user-id=2", 400),
    ("appId=20002", 404),
    ("%61ppId=20002", 404),
    ("app_id=20002", 400),
    ("appId=20001&appId=20002", 400),
    ("appId=20001%00", 404),
    ("userId=%ff", 400),
    ("userId=", 403),
    ("userId=01", 403),
]


@pytest.mark.parametrize(("query", "status"), FOREIGN_QUERIES)
async def test_no_query_reaches_another_user(api: Api, stand: Stand, query: str, status: int) -> None:
    await api.owner.create_app()
    await api.other.create_app()
    answer = await api.raw.get(f"{FILES}/tree?{query}", headers=MINE)
    assert (answer.status_code, stand.seen) == (status, [])


FOREIGN_BODIES = [
    ('{"userId": "2", "appId": "20001"}', 403),
    ('{"userId": 2}', 403),
    ('{"userId": 1, "userId": 2}', 400),
    ('{"userId": 1, "\\u0075serId": 2}', 400),
    ('{"userId": 1, "user_id": 2}', 400),
    ('{"userId": 1, "appId": "20002"}', 404),
    ('{"userId": 1, "app_id": "20002"}', 400),
    ('{"userId": 1, "appId": true}', 400),
    ('{"userId": 1.0}', 400),
    ('{"userId": 1, "epoch": 9}', 400),
    ('[{"userId": 1}]', 400),
    ("no json", 400),
    ("[" * 100_000, 400),
]


async def test_a_document_may_leave_the_epoch_open(api: Api, stand: Stand) -> None:
    app_id, stand.acts = str((await api.owner.create_app()).id), "shown"
    order = {"userId": "1", "epoch": None, "appId": app_id, "visibility": "private"}
    answer = await api.raw.post("/api/fun-ai/workspace/preview/access", json=order, headers=MINE)
    assert (answer.status_code, dict(stand.seen[-1].query)) == (200, {"userId": "1", "epoch": "1"})
    seen = len(stand.seen)
    answer = await api.raw.post("/api/fun-ai/workspace/preview/access", json={**order, "epoch": 1}, headers=MINE)
    assert (answer.status_code, len(stand.seen)) == (400, seen)


@pytest.mark.parametrize(("body", "status"), FOREIGN_BODIES)
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "", "application/octet-stream", "a/b+json"])
async def test_no_document_reaches_another_user(api: Api, stand: Stand, body: str, status: int, kind: str) -> None:
    await api.owner.create_app()
    await api.other.create_app()
    sent = {**MINE, **({"Content-Type": kind} if kind else {})}
    answer = await api.raw.post(f"{FILES}/content", content=body, headers=sent)
    assert (answer.status_code, stand.seen) == (status, [])


async def test_a_document_in_another_coat_is_no_order(api: Api, node: FilesNode) -> None:
    """What is passed on unread is proven at its end, and the node takes no orders that are."""
    await own_app(api)
    victim = await node.homes.ready("2")
    (victim / "apps/20002").mkdir()
    body = b'{"userId": "2", "appId": "20002", "path": "owned", "content": "x"}'
    answer = await api.raw.post(f"{FILES}/content", content=body, headers={**MINE, "Content-Type": "image/png"})
    assert answer.status_code == 415
    assert list((victim / "apps/20002").iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        "internal/cleanup-orphaned",
        "internal/nginx/port",
        "Internal/nginx/port",
        "%69nternal/nginx/port",
        "files/%2e%2e/internal/nginx/port",
        "/internal/nginx/port",
        "files//tree",
        "files%2ftree",
        "internal",
        "",
    ],
)
@pytest.mark.parametrize("token", [{}, MINE, {ADMIN_TOKEN: ADMIN}])
async def test_what_is_internal_is_never_passed_on(api: Api, stand: Stand, path: str, token: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session:
        url = URL(f"{api.url}{PREFIX}/{path}?userId=1", encoded=True)
        async with session.post(url, headers=token) as answer:
            assert answer.status in (401, 403, 404)
    assert stand.seen == []


@pytest.mark.parametrize("call", ["files/new", "files/content/more", "files/uploads/", "holds", "files/uploads/0f/0f"])
async def test_a_call_without_a_rule_is_not_passed_on(api: Api, stand: Stand, call: str) -> None:
    answer = await api.raw.get(f"{PREFIX}/{call}", headers=MINE)
    assert (answer.status_code, answer.json()["reason"], stand.seen) == (404, "not_found", [])
    assert (await api.raw.delete(f"{FILES}/content", headers=MINE)).status_code == 405
    assert stand.seen == []


async def test_what_proves_people_stays_here_and_marks_are_for_operators(api: Api, stand: Stand) -> None:
    stand.acts = "cookies"
    sent = {**MINE, "Cookie": "session=1", "X-Forwarded-For": "1.2.3.4", "X-WS-Token": "t", "Accept": "text/x"}
    answer = await api.raw.get(f"{ANY}?x=%2F%26+%C3%A4&epoch=99", headers=sent)
    (seen,) = stand.seen
    assert not {"Authorization", "Cookie", "X-Forwarded-For", "X-WS-Token"} & set(seen.headers)
    assert (seen.headers["Accept"], dict(seen.query)) == ("text/x", {"x": "/& ä", "userId": "1", "epoch": "1"})
    assert not {"set-cookie", "x-ws-secret", "x-ws-upstream", "x-ws-proxied"} & set(answer.headers)
    assert (answer.headers["x-ws-log-version"], answer.headers.get("server", "")) == (
        "json-v2",
        answer.headers["server"],
    )
    assert answer.headers["server"] != "node"
    told = await api.raw.get(ANY, headers={**MINE, ADMIN_TOKEN: ADMIN})
    assert (told.headers["x-ws-proxied"], told.headers["x-ws-upstream"][:17]) == ("1", "http://127.0.0.1:")


async def test_reads_place_nobody(api: Api, node: FilesNode) -> None:
    for path in ("files/tree", "container/status", "run/status", "files/delete", "terminal"):
        method = "POST" if path.endswith("delete") else "GET"
        await api.raw.request(method, f"{PREFIX}/{path}", headers=MINE)
    listed = await api.raw.get("/api/fun-ai/admin/workspace-nodes/list", headers={ADMIN_TOKEN: ADMIN})
    assert listed.json()["data"]["totalPlacements"] == 0


async def test_a_node_that_is_off_or_gone_is_told_from_ones_own_mistakes(api: Api, stand: Stand) -> None:
    stand.acts = "locked"
    assert (await api.raw.get(ANY, headers=MINE)).status_code == 502
    assert (await api.raw.post(f"{FILES}/mkdir", headers=MINE)).status_code == 502
    await heard(api, "http://127.0.0.1:9")
    gone = await api.raw.get(f"{FILES}/tree", headers=MINE)
    assert (gone.status_code, gone.json()["reason"]) == (502, "peer_failed")
    switch = "/api/fun-ai/admin/workspace-nodes/set-enabled?nodeId=1&enabled=0"
    await api.raw.post(switch, headers={ADMIN_TOKEN: ADMIN})
    off = await api.raw.get(f"{FILES}/tree", headers=MINE)
    assert (off.status_code, off.json()["reason"]) == (503, "node_disabled")


async def test_a_dead_connection_costs_a_read_one_more_try_and_an_order_none(api: Api, stand: Stand) -> None:
    stand.acts = "dead"
    assert (await api.raw.get(ANY, headers=MINE)).content == b"2"
    assert (await api.raw.post(f"{FILES}/mkdir", headers=MINE)).status_code == 502
    assert len(stand.seen) == 3


async def test_an_answer_that_breaks_off_is_not_whole(api: Api, stand: Stand) -> None:
    stand.acts = "torn"
    with pytest.raises(httpx.RemoteProtocolError):
        await api.raw.get(ANY, headers=MINE)


async def test_events_come_when_they_happen(api: Api, stand: Stand) -> None:
    stand.acts = "events"
    async with api.raw.stream("GET", f"{PREFIX}/realtime/events", headers=MINE) as answer:
        pieces = answer.aiter_raw()
        assert await anext(pieces) == b"data: one\n\n"
        stand.hold.set()
        assert await anext(pieces) == b"data: two\n\n"


async def test_lines_pass_frames_pings_and_how_they_end(api: Api, stand: Stand) -> None:
    stand.acts = "line"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{LINE.format(api.url)}?x=1", headers=MINE, autoping=False) as line,
    ):
        await line.send_str("text")
        assert (await line.receive()).data == "text"
        await line.send_bytes(b"\x00\xff")
        assert (await line.receive()).data == b"\x00\xff"
        await line.ping(b"p")
        pong = await line.receive()
        assert (pong.type, bytes(pong.data)) == (aiohttp.WSMsgType.PONG, b"p!")
        await line.send_str("end")
        last = await line.receive()
        assert (last.type, last.data, last.extra) == (aiohttp.WSMsgType.CLOSE, 4242, "over")


async def test_a_line_that_its_client_closes_is_closed_at_the_node(api: Api, stand: Stand) -> None:
    stand.acts = "line"
    async with aiohttp.ClientSession() as session:
        line = await session.ws_connect(LINE.format(api.url), headers=MINE)
        await line.close(code=4001)

    async def ended() -> bool:
        return len(stand.seen) == 2

    await eventually(ended)


async def test_a_line_needs_its_user(api: Api, stand: Stand) -> None:
    async with aiohttp.ClientSession() as session:
        for token, query, status in (({}, "", 401), (MINE, "?userId=2", 403), (bearer(OTHER), "?appId=1", 404)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{LINE.format(api.url)}{query}", headers=token)
            assert refused.value.status == status
    assert stand.seen == []


async def test_names_are_read_once_whatever_they_are(api: Api, stand: Stand) -> None:
    odd: dict[str, Any] = {"path": "a/../b?c=d#e", "userId": "1", "q": "1;userId=2"}
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in odd.items())
    assert (await api.raw.get(f"{ANY}?{query}", headers=MINE)).status_code == 200
    assert dict(stand.seen[0].query) == {**odd, "epoch": "1"}


async def test_a_hundred_megabytes_pass_in_little_memory(api: Api, node: FilesNode) -> None:
    """Client, API and node in one process: none of them may hold the file."""
    app, piece, pieces = await own_app(api), b"x" * 2**20, 100

    async def body() -> AsyncIterator[bytes]:
        for _ in range(pieces):
            yield piece

    before = await asyncio.to_thread(_forget_peak)
    sent = {**MINE, "Content-Type": "application/octet-stream"}
    url = f"{FILES}/upload-file?appId={app}&path=big.bin"
    assert (await api.raw.post(url, content=body(), headers=sent, timeout=60)).status_code == 200
    assert (node.homes.root / "1/apps" / app / "big.bin").stat().st_size == pieces * len(piece)
    async with api.raw.stream("GET", f"{FILES}/download-file?appId={app}&path=big.bin", headers=MINE) as answer:
        assert sum([len(part) async for part in answer.aiter_raw()]) == pieces * len(piece)
    assert await asyncio.to_thread(_peak_kib) - before < 32 * 1024


def _forget_peak() -> int:
    """The peak is what is held now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_kib()


def _peak_kib() -> int:
    """The most memory that this process has held since the peak was last forgotten."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


async def test_a_node_reports_itself_and_is_then_called(api: Api, node: FilesNode) -> None:
    async with Transport(api.url, {WORKSPACE_NODE_TOKEN: OWN_NODE_TOKEN}) as transport:
        registry, url = HttpRegistry(WorkspaceRegistryClient(transport)), node.calls.url
        beat = WorkspaceNodeHeartbeat(
            node_name="ws-own", nginx_base_url=url, api_base_url=url, containers_running=1, quota="soft"
        )
        await registry.heartbeat(beat)
        with pytest.raises(RegistryError):
            await registry.heartbeat(beat.model_copy(update={"node_name": "ws-1"}))
    async with Transport(api.url, {ADMIN_TOKEN: ADMIN}) as transport:
        admin = WorkspaceAdminClient(transport)
        heard_of = {each.name: each.containers_running for each in (await admin.nodes()).nodes}
        assert heard_of == {"ws-1": None, "ws-own": 1}


async def test_nobody_holds_more_calls_open_than_anybody_needs(api: Api, stand: Stand) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        stand.acts = "line"
        lines = [await session.ws_connect(LINE.format(api.url), headers=MINE) for _ in range(128)]
        stand.acts = "calm"
        refused = await api.raw.get(ANY, headers=MINE)
        assert (refused.status_code, refused.json()["reason"]) == (429, "rate_limited")
        assert (await api.raw.get(f"{PREFIX}/run/status", headers=bearer(OTHER))).status_code == 200
        await lines[0].close()

        async def admitted() -> bool:
            return (await api.raw.get(ANY, headers=MINE)).status_code == 200

        await eventually(admitted)
        for line in lines:
            await line.close()
