"""`funai apps db` before a real control plane and an agent with a database server."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from tests.console.plane_server import Served, served
from tests.console.test_app_logs import node, place
from tests.console.test_one_shot import funai
from tests.support.mongo_twin import TwinDatabases


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    databases = TwinDatabases()
    things = databases.collection("db_u1_a20001", "things")
    for number in range(3):
        things.insert({"_id": f"t{number}", "n": number, "text": "\x1b[2Jblank"})
    databases.collection("db_u1_a20001", "people")
    with served(tmp_path_factory.mktemp("db")) as plane, node(databases) as (agent, _, __):
        asyncio.run(place(plane, agent.url))
        yield plane


def test_collections_are_listed(plane: Served) -> None:
    assert funai(plane.environ, "apps", "db", "20001").stdout == b"people\nthings\n"
    told = funai(plane.environ, "apps", "db", "20001", "-o", "json")
    assert json.loads(told.stdout) == [{"collection": "people"}, {"collection": "things"}]
    assert funai(plane.environ, "apps", "db", "20001", "-o", "csv").stdout == b"collection\npeople\nthings\n"


def test_documents_are_found_and_cannot_draw_on_the_terminal(plane: Served) -> None:
    found = funai(
        plane.environ, "apps", "db", "20001", "things", "--filter", '{"n": {"$gt": 0}}', "--sort", '{"n": -1}'
    )
    assert found.returncode == 0, found.stderr
    assert [json.loads(each)["_id"] for each in found.stdout.splitlines()] == ["t2", "t1"]
    assert b"\x1b" not in found.stdout
    whole = funai(plane.environ, "apps", "db", "20001", "things", "--limit", "1", "-o", "ndjson")
    assert json.loads(whole.stdout) == {"_id": "t0", "n": 0, "text": "\x1b[2Jblank"}
    looks = json.loads(funai(plane.environ, "audit", "--kind", "database", "-o", "json").stdout)
    assert {(each["change"], each["actor"], each["after"]["collection"]) for each in looks} >= {
        ("looked", "admin", "things")
    }


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        (("20009",), 4, b"is on no runtime node"),
        (("20001", "../x"), 2, b"collection must be"),
        (("20001", "system.users"), 4, b"MongoDB's own"),
        (("20001", "things", "--filter", '{"$where": "1"}'), 4, b"$where runs code"),
        (("20001", "things", "--limit", "999"), 2, b"limit"),
    ],
)
def test_what_cannot_be_asked_says_why(plane: Served, asked: tuple[str, ...], code: int, says: bytes) -> None:
    refused = funai(plane.environ, "apps", "db", *asked)
    assert (refused.returncode, refused.stdout, says in refused.stderr) == (code, b"", True), refused.stderr
