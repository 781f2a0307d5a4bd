"""Keys for git that workspace nodes borrow, over HTTP: who gets one, for what, and what everybody else hears."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest

from protocol.git_loans import LEND_PATH, RETURN_ALL_PATH, RETURN_PATH, GitKeyLent
from protocol.headers import ADMIN_TOKEN, WORKSPACE_NODE_TOKEN
from tests.http.api.conftest import ADMIN, NODE_TOKEN, OWN_NODE_TOKEN, Api, serving
from tests.support.lent_keys import MemoryKeys

NODE, NODES = "ws-own", "/api/fun-ai/admin/workspace-nodes"
APP = "20001"


class Lending:
    """An API that lends; user 1 lives on the node that has a token of its own, user 2 on another."""

    def __init__(self, api: Api, keys: MemoryKeys) -> None:
        self.api, self.keys = api, keys

    async def furnish(self) -> None:
        for name, token, user_id in ((NODE, OWN_NODE_TOKEN, 1), ("ws-1", NODE_TOKEN, 2)):
            url = "http://127.0.0.1:9"
            beat = {"nodeName": name, "nginxBaseUrl": url, "apiBaseUrl": url}
            heard = await self.ask(f"{NODES}/heartbeat", beat, token)
            order = {"userId": user_id, "targetNodeId": heard.json()["data"]["id"]}
            placed = await self.api.raw.post(f"{NODES}/reassign", json=order, headers={ADMIN_TOKEN: ADMIN})
            assert placed.status_code == 200, placed.text
        await self.api.owner.create_app()
        await self.api.other.create_app()

    async def ask(self, path: str, body: dict[str, Any], token: str = OWN_NODE_TOKEN) -> httpx.Response:
        return await self.api.raw.post(path, json=body, headers={WORKSPACE_NODE_TOKEN: token})

    async def lend(self, token: str = OWN_NODE_TOKEN, **changed: Any) -> httpx.Response:
        body = {"userId": "1", "appId": APP, "publicKey": public_key(), "seconds": 60} | changed
        return await self.ask(LEND_PATH, body, token)

    async def refused(self, token: str = OWN_NODE_TOKEN, **changed: Any) -> tuple[int, str]:
        """How it is refused, and that nothing was done."""
        before = dict(self.keys.keys)
        answer = await self.lend(token, **changed)
        assert self.keys.keys == before
        return answer.status_code, str(answer.json()["message"])


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519", comment="").export_public_key().decode().strip()


@pytest.fixture
async def lending(tmp_path: Path) -> AsyncIterator[Lending]:
    keys = MemoryKeys()
    async with serving(tmp_path, keys=keys) as api:
        found = Lending(api, keys)
        await found.furnish()
        yield found


async def test_a_node_borrows_a_key_and_gives_it_back(lending: Lending) -> None:
    answer = await lending.lend()
    lent = GitKeyLent.model_validate(answer.json()["data"], strict=False)
    assert lent.repository == f"funai/u1-app{APP}"
    assert lending.keys.keys == {(lent.repository, lent.fingerprint): int(lent.expires_at.timestamp() * 1000)}
    back = await lending.ask(RETURN_PATH, {"fingerprint": lent.fingerprint})
    assert (back.status_code, back.json()["data"], lending.keys.keys) == (200, {"keys": 1}, {})
    assert (await lending.ask(RETURN_PATH, {"fingerprint": lent.fingerprint})).json()["data"] == {"keys": 0}


async def test_all_keys_of_an_app_are_given_back_at_once(lending: Lending) -> None:
    for _ in range(3):
        assert (await lending.lend()).status_code == 200
    asked = {"userId": "1", "appId": APP}
    assert (await lending.ask(RETURN_ALL_PATH, asked, NODE_TOKEN)).json()["data"] == {"keys": 0}
    assert (await lending.ask(RETURN_ALL_PATH, {**asked, "appId": "shop"})).json()["data"] == {"keys": 0}
    assert len(lending.keys.keys) == 3
    assert (await lending.ask(RETURN_ALL_PATH, asked)).json()["data"] == {"keys": 3}
    assert lending.keys.keys == {}


async def test_nobody_gets_a_key_for_what_is_not_on_their_node(lending: Lending) -> None:
    assert (await lending.refused("wrong-token-0123456789"))[0] == 401
    assert (await lending.refused(ADMIN))[0] == 401
    status, words = await lending.refused(NODE_TOKEN, userId="2", appId="20002")
    assert status == 403 and "FUNAI_WORKSPACE_NODE_REGISTRY_NODE_TOKENS" in words
    assert (await lending.refused(userId="2", appId="20002")) == (403, f"the workspace of user 2 is not on {NODE}")
    foreign, absent = await lending.refused(appId="20002"), await lending.refused(appId="29999")
    assert foreign[0] == absent[0] == 404 and foreign[1].replace("20002", "29999") == absent[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("publicKey", "ssh-ed25519 AAAA"),
        ("publicKey", f"ssh-ed25519 {'A' * 68}"),
        ("publicKey", "ssh-rsa AAAAB3NzaC1yc2E="),
        ("publicKey", f"ssh-ed25519 {'A' * 68}\nssh-ed25519 {'B' * 68}"),
        ("publicKey", f'command="sh" ssh-ed25519 {"A" * 68}'),
        ("userId", "../1"),
        ("userId", "0"),
        ("appId", "../20001"),
        ("seconds", 0),
        ("seconds", -1),
        ("seconds", 3701),
        ("seconds", "60"),
    ],
)
async def test_what_is_sent_is_checked(lending: Lending, field: str, value: Any) -> None:
    changed: dict[str, Any] = {field: value}
    status, words = await lending.refused(**changed)
    assert status == 400 and field in words
    assert "AAAA" not in words


@pytest.mark.parametrize("mark", ["", "SHA256:x", f"SHA256:{'a' * 42}'", f"MD5:{'a' * 43}"])
async def test_a_fingerprint_is_one(lending: Lending, mark: str) -> None:
    assert (await lending.ask(RETURN_PATH, {"fingerprint": mark})).status_code == 400


async def test_a_key_of_another_node_is_not_taken_back(lending: Lending) -> None:
    lent = (await lending.lend()).json()["data"]
    for token in (NODE_TOKEN, "wrong-token-0123456789"):
        await lending.ask(RETURN_PATH, {"fingerprint": lent["fingerprint"]}, token)
    assert len(lending.keys.keys) == 1


async def test_trouble_at_the_git_server_is_said(lending: Lending) -> None:
    lending.keys.failing = 1
    assert await lending.refused() == (503, "the git server is away")
    lent = (await lending.lend()).json()["data"]
    lending.keys.failing = 1
    back = await lending.ask(RETURN_PATH, {"fingerprint": lent["fingerprint"]})
    assert back.status_code == 503 and "it is tried again" in back.json()["message"]


async def test_a_node_that_borrows_without_end_is_stopped(lending: Lending) -> None:
    answers = [(await lending.lend()).status_code for _ in range(9)]
    assert answers == [200] * 8 + [429]
    same = public_key()
    other = (await lending.ask(RETURN_ALL_PATH, {"userId": "1", "appId": APP})).json()
    assert other["data"] == {"keys": 8}
    assert [(await lending.lend(publicKey=same)).status_code for _ in range(2)] == [200, 409]


async def test_an_api_without_keys_says_what_to_set(api: Api) -> None:
    found = Lending(api, MemoryKeys())
    await found.furnish()
    status, words = await found.refused()
    assert status == 503 and "GIT_LOANS_DIR" in words
