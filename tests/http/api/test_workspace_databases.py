"""People look into databases of their apps through a real API server, a real node's routes and the real driver."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from daemons.kit.clock import SystemClock
from daemons.workspace.composition.databases import development, open_databases
from daemons.workspace.http.databases import DatabaseRoutes
from daemons.workspace.services.databases import Development
from protocol.client.api import bearer
from tests.http.api.conftest import OTHER, OWNER, Api
from tests.http.api.test_forwarding import placed
from tests.support.mongo_server import ADMIN, ADMIN_PASSWORD, MongoServer, mongo_server
from tests.support.workspace_calls import TwinActivity, served, settings

MONGO = "/api/fun-ai/workspace/mongo"


@dataclass
class Explored:
    """The owner lives on a node with a database server, which knows who asked for what."""

    api: Api
    server: MongoServer
    development: Development

    async def app(self) -> str:
        """An app of the owner's that was run once."""
        app_id = str((await self.api.owner.create_app()).id)
        assert await self.development.variables("1", app_id)
        return app_id

    async def ask(self, method: str, call: str, body: object = None, token: str | None = OWNER) -> httpx.Response:
        """What people are answered."""
        proof = bearer(token) if token else {}
        return await self.api.raw.request(method, f"{MONGO}/{call}", json=body, headers=proof)


@pytest.fixture
async def explored(api: Api, tmp_path: Path) -> AsyncIterator[Explored]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(mongo_server())
        named = {
            "FUNAI_WORKSPACE_MONGO_ENABLED": "true",
            "FUNAI_WORKSPACE_MONGO_HOST": "127.0.0.1",
            "FUNAI_WORKSPACE_MONGO_PORT": str(server.port),
            "FUNAI_WORKSPACE_MONGO_USERNAME": ADMIN,
            "FUNAI_WORKSPACE_MONGO_PASSWORD": ADMIN_PASSWORD,
        }
        asked = settings(tmp_path, **named)
        found = development(asked, await open_databases(asked, stack), SystemClock())
        assert found is not None
        routes = DatabaseRoutes(found, TwinActivity()).table()
        await placed(api, await stack.enter_async_context(served(asked, lambda wiring: wiring.serve(routes))))
        yield Explored(api, server, found)


async def test_owners_see_and_change_the_database_of_their_app(explored: Explored) -> None:
    app = await explored.app()
    new = {"collection": "things", "doc": '{"n": {"$numberLong": "9007199254740993"}}'}
    made = (await explored.ask("POST", f"insert-one?appId={app}", new)).json()["data"]
    assert (made["dbName"], made["acknowledged"], len(made["insertedId"])) == (f"db_{app}", True, 24)
    found = await explored.ask("POST", f"find?userId=1&appId={app}", {"collection": "things", "limit": 5})
    assert found.json()["data"]["items"] == [{"_id": {"$oid": made["insertedId"]}, "n": 9007199254740993}]
    one = await explored.ask("GET", f"doc?appId={app}&collection=things&id={made['insertedId']}")
    assert one.json()["data"]["doc"]["n"] == 9007199254740993
    gone = await explored.ask(
        "POST", f"op?appId={app}", {"op": "deleteById", "collection": "things", "id": made["insertedId"]}
    )
    assert gone.json()["data"]["deletedCount"] == 1
    assert (await explored.ask("GET", f"collections?appId={app}")).json()["data"]["collections"] == ["things"]


async def test_nobody_else_does(explored: Explored) -> None:
    app = await explored.app()
    asked = len(explored.server.asked)
    find = {"collection": "things"}
    for token, status in ((OTHER, 404), (None, 401)):
        assert (await explored.ask("GET", f"collections?appId={app}", token=token)).status_code == status
        assert (await explored.ask("POST", f"find?appId={app}", find, token=token)).status_code == status
    assert (await explored.ask("POST", f"find?userId=1&appId={app}", find, token=OTHER)).status_code == 403
    assert len(explored.server.asked) == asked


async def test_what_is_asked_for_people_is_asked_with_the_apps_account(explored: Explored) -> None:
    app = await explored.app()
    [(realm, name)] = [key for key in explored.server.users if key[1] != ADMIN]
    explored.server.users[(realm, name)].databases = frozenset({"elsewhere"})
    refused = await explored.ask("GET", f"collections?appId={app}")
    assert (refused.status_code, refused.json()["reason"]) == (503, "peer_failed")
    assert "not authorized" in refused.json()["message"] and name == f"ws_u1_a{app}"


async def test_a_query_is_bounded_in_time_and_number(explored: Explored) -> None:
    app = await explored.app()
    await explored.ask("POST", f"find?appId={app}", {"collection": "things", "limit": 10**6, "skip": 10**6})
    asked = [each for each in explored.server.asked if "find" in each]
    assert [(each["maxTimeMS"], each["limit"], each["skip"], each["$db"]) for each in asked] == [
        (3000, 200, 10_000, f"db_{app}")
    ]
