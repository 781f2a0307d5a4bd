"""Addresses and references that must not be cloned are refused when the job is created."""

import orjson
import pytest

from tests.http.deploy.plane import serving
from tests.support.bad_git import GOOD_REF, GOOD_URL, bad_values

GOOD = {"userId": 1, "appId": "20001", "repoSshUrl": GOOD_URL, "gitRef": GOOD_REF}


async def test_every_bad_address_and_reference_is_400_that_names_its_field() -> None:
    wrong = []
    async with serving() as plane:
        for field, value in bad_values():
            body = orjson.dumps({"type": "BUILD_AND_DEPLOY", "payload": GOOD | {field: value}})
            kind = {"Content-Type": "application/json"}
            answer = await plane.call("POST", "/deploy/jobs", role="api", content=body, headers=kind)
            fields = (answer.json().get("data") or {}).get("fields") or []
            if answer.status_code != 400 or fields[:1] != [f"payload.{field}"] or len(answer.content) > 2048:
                wrong.append((field, value, answer.status_code, fields))
        assert wrong == []
        assert await plane.api.newest() == ()
        body = orjson.dumps({"type": "BUILD_AND_DEPLOY", "payload": GOOD})
        assert (await plane.call("POST", "/deploy/jobs", role="api", content=body)).status_code == 200


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("ssh://git@git.example:2222/a/b.git", 200),
        ("ssh://git@GIT.example:2222/a/b.git", 200),
        ("ssh://git@plain.example/a/b.git", 200),
        ("ssh://git@plain.example:22/a/b.git", 200),
        ("ssh://git@git.example/a/b.git", 400),
        ("ssh://git@plain.example:2222/a/b.git", 400),
        ("ssh://git@evil.example:2222/a/b.git", 400),
        ("ssh://git@git.example.evil:2222/a/b.git", 400),
        ("ssh://git@127.0.0.1:7002/a/b.git", 400),
        ("ssh://git@169.254.169.254/a/b.git", 400),
    ],
)
async def test_only_listed_hosts_are_cloned_from(url: str, status: int) -> None:
    async with serving(DEPLOY_GIT_HOSTS="git.example:2222, plain.example") as plane:
        body = {"type": "BUILD_AND_DEPLOY", "payload": GOOD | {"repoSshUrl": url}}
        answer = await plane.call("POST", "/deploy/jobs", role="api", json=body)
        assert answer.status_code == status
        if status == 400:
            assert answer.json()["data"]["fields"] == ["payload.repoSshUrl"]
