"""What somebody hostile sends who has an ordinary account, or none: other forms of an id, bodies that two readers read
differently, text that is none, bodies and addresses packed as they should not be."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from yarl import URL

from daemons.api.domain.forwarding import PREFIX
from protocol.headers import WORKSPACE_GATEWAY_TOKEN
from tests.http.api.conftest import GATEWAY, OWNER, Api, serving
from tests.http.api.test_forwarding import FILES, MINE, heard, own_app
from tests.http.api.test_slugs import published, take
from tests.support.eventually import eventually
from tests.support.moving_address import MovingAddress
from tests.support.workspace_calls import FilesNode, files_node

LOGIN, SOMEBODY = "/api/fun-ai/auth/login", {"userName": "somebody", "password": "a wrong password"}


@pytest.fixture
async def node(api: Api, tmp_path: Path) -> AsyncIterator[FilesNode]:
    async with files_node(tmp_path) as node:
        await heard(api, node.calls.url)
        yield node


@pytest.mark.parametrize("zeros", ["0", "0000000000000"])
async def test_an_app_has_one_id(api: Api, node: FilesNode, zeros: str) -> None:
    """A second form would be a second folder, database and preview, that no limit counts and no deletion finds."""
    app = zeros + await own_app(api)
    for method, path in (("GET", "/api/fun-ai/app/info"), ("POST", f"{FILES}/ensure-dir"), ("GET", f"{FILES}/tree")):
        answer = await api.raw.request(method, path, params={"appId": app}, headers=MINE)
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found"), path
    body = {"appId": app, "path": "a", "content": "x"}
    assert (await api.raw.post(f"{FILES}/content", json=body, headers=MINE)).status_code == 404
    way = f"{PREFIX}/internal/gateway/node?appId={app}"
    assert (await api.raw.get(way, headers={WORKSPACE_GATEWAY_TOKEN: GATEWAY})).status_code == 404
    assert [folder.name for folder in (node.homes.root / "1/apps").iterdir()] == [app.lstrip("0")]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
async def test_the_door_reads_a_body_as_handlers_do(api: Api, number: str) -> None:
    """What is no JSON for one reader and JSON for the next names somebody whom nobody looked at."""
    await api.owner.create_app()
    body = f'{{"userId": 2, "appId": "20001", "x": {number}}}'
    answer = await api.raw.post("/api/fun-ai/app/update-basic", content=body, headers=MINE)
    assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "body", [r'{"appId": "\ud800"}', r'{"\ud800": 1, "\ud800": 2}', r'{"user_id\udfff": 1}', r'{"epoch": "\udc00"}']
)
async def test_text_that_is_none_is_refused_with_words(api: Api, node: FilesNode, body: str) -> None:
    """Half of a character can be written in JSON, and in no answer."""
    await own_app(api)
    answer = await api.raw.post(f"{FILES}/content", content=body, headers=MINE)
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request")


PACKED, JSON = {**MINE, "Content-Encoding": "gzip"}, {"Content-Type": "application/json"}


async def test_packed_bodies_are_unpacked_once(api: Api, node: FilesNode) -> None:
    """The API has unpacked them: what goes on says neither that they are packed nor how long that was."""
    app, data = await own_app(api), b"hello " * 100_000
    sent = {**PACKED, "Content-Type": "application/octet-stream"}
    kept = await api.raw.post(f"{FILES}/upload-file?appId={app}&path=z", content=gzip.compress(data), headers=sent)
    assert kept.status_code == 200, kept.text
    assert (node.homes.root / "1/apps" / app / "z").read_bytes() == data
    order = orjson.dumps({"appId": app, "path": "y", "content": "hello"})
    sent = {**PACKED, **JSON}
    saved = await api.raw.post(f"{FILES}/content", content=gzip.compress(order), headers=sent)
    assert saved.status_code == 200, saved.text
    assert (node.homes.root / "1/apps" / app / "y").read_text() == "hello"


async def test_a_body_that_is_not_packed_as_it_says_is_its_senders_mistake(
    api: Api, node: FilesNode, caplog: pytest.LogCaptureFixture
) -> None:
    app = await own_app(api)
    upload = f"{FILES}/upload-file?appId={app}&path=z"
    for path, kind in (
        ("/api/fun-ai/auth/login", "application/json"),
        ("/api/fun-ai/app/update-basic", "application/json"),
        (f"{FILES}/content", "application/json"),
        (upload, "application/octet-stream"),
    ):
        answer = await api.raw.post(path, content=b"not packed", headers={**PACKED, "Content-Type": kind})
        assert (answer.status_code, answer.json()["data"]) == (400, {"fields": ["body"]}), path
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert list((node.homes.root / "1/apps" / app).iterdir()) == []


async def test_a_bomb_is_no_more_than_its_first_bytes(api: Api, node: FilesNode) -> None:
    await own_app(api)
    bomb = await asyncio.to_thread(gzip.compress, bytes(256 * 2**20))
    for path in ("/api/fun-ai/auth/login", "/api/fun-ai/app/update-basic", f"{FILES}/content"):
        sent = {**PACKED, **JSON}
        answer = await api.raw.post(path, content=bomb, headers=sent, timeout=60)
        assert (answer.status_code, answer.json()["reason"]) == (413, "payload_too_large"), path


async def test_packed_documents_count_as_long_ones(api: Api, node: FilesNode) -> None:
    """Each may be sixteen megabytes in memory, whatever came over the wire: nobody holds a hundred of them open."""
    await own_app(api)
    packed = gzip.compress(b"{}")
    url = urlsplit(api.url)
    head = (
        f"POST {FILES}/content HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {OWNER}\r\nContent-Encoding: gzip\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    async with AsyncExitStack() as stack:
        for _ in range(5):
            _, writer = await asyncio.open_connection(url.hostname, url.port)
            stack.callback(writer.close)
            writer.write(head.encode() + packed[:5])

        async def refused() -> bool:
            answer = await api.raw.post(f"{FILES}/content", content=packed, headers={**PACKED, **JSON})
            return answer.status_code == 429

        await eventually(refused)


@pytest.mark.parametrize(
    "query",
    [
        "x=%0d%0aSet-Cookie:%20a=b",
        "x=%00",
        "x=%23here",
        "x=a%20b+c",
        "x=%25zz",
        "x=%e4%bd%a0",
        "a=%26b=1&c",
        "?",
        "x=%ff",
    ],
)
async def test_a_visit_by_slug_goes_on_with_what_was_asked_to_the_letter(
    api: Api, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    await api.owner.create_app()
    await take(api, "my-shop")
    await published(api)
    async with aiohttp.ClientSession() as session:
        url = URL(f"{api.url}/my-shop?{query}", encoded=True)
        async with session.get(url, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, f"/runtime/20001/?{query}")
            assert "Set-Cookie" not in answer.headers
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("image", ["ab", "0f3c9d2e71aa", "c0ffee" * 10 + "beef"])
async def test_nobody_deploys_an_image_by_a_part_of_its_id(api: Api, image: str) -> None:
    """Engines take a bare word for the beginning of an id, too: it could be the image of anybody's app."""
    await api.owner.create_app()
    answer = await api.raw.post("/api/fun-ai/deploy/job/create?appId=20001", json={"image": image}, headers=MINE)
    assert (answer.status_code, answer.json()["data"]) == (400, {"fields": ["image"]})


@pytest.mark.real
async def test_nobody_learns_where_the_database_is(
    mysql_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(mysql_url)
    async with MovingAddress(parts.port or 0).listening() as address:
        moved = parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{address.port}")).geturl()
        async with serving(tmp_path, database_url=moved) as api:
            address.move(1)
            for method, path, body in (("GET", "/api/fun-ai/user/me", None), ("POST", LOGIN, SOMEBODY)):
                answer = await api.raw.request(method, path, json=body, headers=MINE)
                assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
                told = (str(address.port), parts.path.strip("/"), str(parts.username), "pymysql", "OperationalError")
                assert not [word for word in told if word in answer.text], answer.text
    logged = [getattr(record, "error", "") for record in caplog.records if record.message == "a request failed"]
    assert logged and all(str(address.port) in words for words in logged)
