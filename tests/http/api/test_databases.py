"""The databases of deployed apps, at the paths and with the keys that existing clients know, for their owners alone."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemons.api.domain.rates import Rate
from daemons.api.ports import PlaneUnreachable
from protocol.accounts import Role
from protocol.client.api import bearer
from tests.http.api.conftest import ACCOUNTS, OTHER, OWNER, Api, serving, with_account
from tests.support.questions import CALLS, HOSTILE, asked

BASE = "/api/fun-ai/deploy/mongo"
WHOSE = "userId=1&appId=20001"
Answer = tuple[int, Mapping[str, Any]]


async def ask(api: Api, method: str, call: str, body: object = None, whose: str = WHOSE, token: str = OWNER) -> Answer:
    """Status and document of an answer."""
    path = f"{BASE}/{asked(call, whose)}"
    answer = await api.raw.request(method, path, json=body, headers=bearer(token))
    return answer.status_code, answer.json()


@pytest.fixture
async def deployed(api: Api) -> Api:
    """With an app of user 1 that is deployed."""
    await api.owner.create_app()
    api.databases.deployed[20001] = 1
    return api


async def test_documents_are_made_found_changed_and_removed(deployed: Api) -> None:
    about = {"userId": "1", "appId": "20001", "dbName": "db_u1_a20001"}
    things = {**about, "collection": "things"}
    status, answer = await ask(deployed, *CALLS[3])
    assert (status, answer) == (200, {"code": 200, "message": "success", "data": {**things, "insertedId": "a"}})
    _, answer = await ask(deployed, *CALLS[4])
    assert answer["data"] == {**things, "matchedCount": 1, "modifiedCount": 1, "upsertedId": None}
    find = {"collection": "things", "filter": '{"n": {"$gt": 1}}', "sort": '{"n": -1}', "limit": 9999, "skip": -1}
    _, answer = await ask(deployed, "POST", "find", find)
    found = {"limit": 200, "skip": 0, "returned": 1, "items": [{"_id": "a", "n": 2}], "truncated": False}
    assert answer["data"] == {**things, **found}
    _, answer = await ask(deployed, *CALLS[2], whose="appId=20001")
    assert answer["data"] == {**things, "id": "a", "doc": {"_id": "a", "n": 2}}
    fields = [{"name": "name", "type": "string", "required": True, "nullable": False}]
    body = {"collection": "people", "strict": True, "fields": fields}
    _, answer = await ask(deployed, "POST", "create-collection", body)
    assert answer["data"] == {**about, "collection": "people", "created": True}
    status, answer = await ask(deployed, "POST", "insert-one", {"collection": "people", "doc": '{"x": 1}'})
    assert (status, answer["reason"]) == (422, "invalid_request")
    _, answer = await ask(deployed, *CALLS[5])
    assert answer["data"] == {**things, "deletedCount": 1}
    _, answer = await ask(deployed, "GET", "collections", whose="appId=20001")
    assert answer["data"] == {**about, "collections": ["people", "things"]}


async def test_nobody_else_sees_or_changes_anything(deployed: Api) -> None:
    operator = (await with_account(deployed, "operator", Role.OPERATOR)).access_token
    admin = (await with_account(deployed, "admin", Role.ADMIN)).access_token
    for method, call, body in CALLS:
        for token in (OTHER, operator, admin):
            status, answer = await ask(deployed, method, call, body, "appId=20001", token)
            assert (status, answer["message"]) == (404, "there is no app 20001")
            assert (await ask(deployed, method, call, body, WHOSE, token))[0] == 403
        assert (await ask(deployed, method, call, body, WHOSE, "nobodys"))[0] == 401
    assert deployed.databases.server.calls == []


@pytest.mark.parametrize(("call", "body", "status", "says"), HOSTILE)
async def test_what_may_not_be_asked_is_refused_here(
    deployed: Api, call: str, body: object, status: int, says: str
) -> None:
    found, answer = await ask(deployed, "POST", call, body)
    assert (found, says in answer["message"]) == (status, True), answer
    assert deployed.databases.server.calls == []


async def test_a_body_that_is_too_large_is_not_read(deployed: Api) -> None:
    status, answer = await ask(deployed, "POST", "insert-one", {"collection": "things", "doc": "x" * 1_100_000})
    assert (status, answer["reason"]) == (413, "payload_too_large")


@pytest.mark.parametrize("whose", ["", "userId=1", "appId=../5", "userId=x&appId=20001"])
async def test_every_call_says_whose_database_it_means(deployed: Api, whose: str) -> None:
    for method, call, body in CALLS:
        assert (await ask(deployed, method, call, body, whose))[0] == 400
    assert deployed.databases.server.calls == []


async def test_an_app_that_is_not_deployed_says_what_to_do(api: Api) -> None:
    await api.owner.create_app()
    for method, call, body in CALLS:
        status, answer = await ask(api, method, call, body)
        assert (status, answer["reason"], "deploy it first" in answer["message"]) == (404, "not_found", True)


async def test_a_node_that_is_away_is_503(deployed: Api) -> None:
    deployed.databases.server.away = True
    status, answer = await ask(deployed, "GET", "collections")
    assert (status, answer["reason"]) == (503, "peer_failed")
    deployed.databases.failing = PlaneUnreachable("the deploy control plane cannot be asked now")
    answered = await deployed.raw.get(f"{BASE}/collections?{WHOSE}", headers=bearer(OWNER))
    assert (answered.status_code, answered.json()["reason"]) == (503, "unavailable")
    assert "Retry-After" in answered.headers


async def test_what_keeps_a_database_busy_counts_as_expensive(tmp_path: Path) -> None:
    async with serving(tmp_path, accounts=replace(ACCOUNTS, dear=Rate(3, 0.001))) as api:
        await api.owner.create_app()
        api.databases.deployed[20001] = 1
        statuses = [(await ask(api, *CALLS[1]))[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        for method, call, body in CALLS:
            wanted = 429 if method == "POST" else 200
            assert (await ask(api, method, call, body))[0] == wanted, call
        found = await api.raw.post(f"{BASE}/find?{WHOSE}", json=CALLS[1][2], headers=bearer(OWNER))
        assert found.json()["reason"] == "rate_limited" and int(found.headers["Retry-After"]) > 0


async def test_answers_are_kept_by_nobody(deployed: Api) -> None:
    secret = secrets.token_hex(8)
    deployed.databases.server.collection("db_u1_a20001", "things").insert({"_id": "a", "text": secret})
    answer = await deployed.raw.get(f"{BASE}/doc?{WHOSE}&collection=things&id=a", headers=bearer(OWNER))
    assert secret in answer.text
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert answer.headers["Content-Type"].startswith("application/json")
