"""What somebody hostile sends who has an ordinary account, or none: other forms of an id, bodies that two readers read
differently, text that is none, bodies and addresses packed as they should not be."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemons.api.domain.forwarding import PREFIX
from protocol.headers import WORKSPACE_GATEWAY_TOKEN
from tests.http.api.conftest import GATEWAY, Api
from tests.http.api.test_forwarding import FILES, MINE, heard, own_app
from tests.support.workspace_calls import FilesNode, files_node


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
