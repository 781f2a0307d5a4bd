"""The databases of deployed apps as the API sees them: the twin in memory and the real control plane, before a real
agent, behave alike."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from daemons.api import ports
from daemons.api.adapters.app_databases import HttpAppDatabases
from daemons.api.ports.databases import AppDatabases
from daemons.kit.mongo.ports import DatabaseError, QueryRefused
from daemons.kit.seats import NoSeat
from protocol import headers
from protocol.base import Envelope
from protocol.client.transport import Transport
from protocol.databases import (
    CollectionList,
    CreateCollection,
    CreatedCollection,
    DeletedDocument,
    DeleteDocument,
    FindDocuments,
    FoundDocument,
    FoundDocuments,
    GetDocument,
    InsertDocument,
    InsertedDocument,
    ListCollections,
    Question,
    UpdatedDocument,
    UpdateDocument,
)
from protocol.jobs import JobStatus, ReportJob
from tests.contract.test_api_plane import serving
from tests.http.deploy import plane as control_plane
from tests.http.deploy.plane import TOKENS
from tests.support.agent_served import agent_served
from tests.support.app_databases import MemoryAppDatabases
from tests.support.mongo_twin import TwinDatabases

INSERT = InsertDocument(collection="things", doc='{"_id": "a", "n": 1}')
CHANGES: tuple[Question, ...] = (
    INSERT,
    UpdateDocument(collection="things", id="a", update='{"$set": {"n": 2}}'),
    DeleteDocument(collection="things", id="a"),
    CreateCollection(collection="people"),
)
QUESTIONS: tuple[Question, ...] = (
    ListCollections(),
    FindDocuments(collection="things"),
    GetDocument(collection="things", id="a"),
    *CHANGES,
)


@dataclass
class World:
    """App 20001 of user 1 is deployed, 20002 is not."""

    databases: AppDatabases
    server: TwinDatabases

    async def ask(self, question: Question, user_id: int = 1, app_id: int = 20001) -> bytes:
        return await self.databases.ask(user_id, app_id, question)


@pytest.fixture(params=["memory", "http"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    server = TwinDatabases()
    if request.param == "memory":
        yield World(MemoryAppDatabases({20001: 1}, server), server)
        return
    async with agent_served(TOKENS["agent"], None, server) as agent, control_plane.serving() as plane:
        await plane.beat(agentBaseUrl=agent.url)
        await plane.create("20001")
        job = await plane.claim()
        assert job is not None
        await agent.deploy("20001", "1", 1)
        done = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, done)
        await plane.create("20002")
        async with Transport(plane.url, {headers.DEPLOY_SECRET: TOKENS["api"]}) as transport:
            yield World(HttpAppDatabases(transport), server)


async def test_every_question_is_answered_as_an_explorer_does(world: World) -> None:
    inserted = Envelope[InsertedDocument].model_validate_json(await world.ask(INSERT))
    assert (inserted.code, inserted.message) == (200, "success") and inserted.data is not None
    assert (inserted.data.db_name, inserted.data.inserted_id) == ("db_u1_a20001", "a")
    updated = Envelope[UpdatedDocument].model_validate_json(await world.ask(CHANGES[1])).data
    assert updated is not None and (updated.matched_count, updated.modified_count) == (1, 1)
    found = Envelope[FoundDocuments].model_validate_json(await world.ask(FindDocuments(collection="things"))).data
    assert found is not None and found.items == ({"_id": "a", "n": 2},)
    document = Envelope[FoundDocument].model_validate_json(await world.ask(QUESTIONS[2])).data
    assert document is not None and document.doc == {"_id": "a", "n": 2}
    deleted = Envelope[DeletedDocument].model_validate_json(await world.ask(CHANGES[2])).data
    assert deleted is not None and deleted.deleted_count == 1
    created = Envelope[CreatedCollection].model_validate_json(await world.ask(CHANGES[3])).data
    assert created is not None and created.created
    listed = Envelope[CollectionList].model_validate_json(await world.ask(ListCollections())).data
    assert listed is not None and listed.collections == ("people", "things")


@pytest.mark.parametrize(("user_id", "app_id"), [(1, 20002), (2, 20001), (1, 29999)])
async def test_an_app_that_is_not_deployed_or_another_users_has_none(world: World, user_id: int, app_id: int) -> None:
    for question in QUESTIONS:
        with pytest.raises(ports.PlaneNotFound, match="deploy it first"):
            await world.ask(question, user_id, app_id)
    assert not {"find", "collections", "insert", "update", "delete", "create"} & set(world.server.calls)


async def test_what_a_database_refuses_is_told_in_its_words(world: World) -> None:
    await world.ask(INSERT)
    with pytest.raises(QueryRefused, match="E11000"):
        await world.ask(INSERT)


async def test_a_database_that_is_away_is_told_apart_from_the_control_plane(world: World) -> None:
    world.server.away = True
    for question in QUESTIONS:
        with pytest.raises(DatabaseError, match="cannot be reached"):
            await world.ask(question)


async def test_nobody_at_the_address_says_what_to_check(unused_tcp_port: int) -> None:
    async with Transport(f"http://127.0.0.1:{unused_tcp_port}", {}) as transport:
        databases = HttpAppDatabases(transport)
        with pytest.raises(ports.PlaneUnreachable, match=r"DEPLOY_PROXY_BASE_URL$"):
            await databases.ask(1, 20001, ListCollections())
        for change in CHANGES:
            with pytest.raises(ports.PlaneUnreachable, match="look whether it was changed before you repeat it"):
                await databases.ask(1, 20001, change)


@pytest.mark.parametrize(
    ("answer", "raised", "says"),
    [
        (web.Response(text="<html>hello</html>", content_type="text/html"), ports.PlaneUnreachable, "another contract"),
        (web.Response(text="<html>oops</html>", status=500), ports.PlaneUnreachable, "another contract"),
        (
            web.json_response({"code": 401, "message": "x", "reason": "unauthorized"}, status=401),
            ports.PlaneUnreachable,
            "DEPLOY_PROXY_AUTH_SHARED_SECRET",
        ),
        (web.json_response({"code": 400, "message": "x"}, status=400), ports.PlaneInvalid, "x"),
        (web.json_response({"code": 429, "message": "wait"}, status=429), NoSeat, "wait"),
        (
            web.json_response({"code": 503, "message": "x", "reason": "unavailable"}, status=503),
            ports.PlaneUnreachable,
            "cannot serve now",
        ),
    ],
)
async def test_what_is_no_answer_is_not_taken_for_one(answer: web.Response, raised: type[Exception], says: str) -> None:
    app = web.Application()

    async def give(_request: web.Request) -> web.Response:
        return answer

    app.router.add_route("*", "/{path:.*}", give)
    runner, url = await serving(app)
    try:
        async with Transport(url, {}) as transport:
            with pytest.raises(raised, match=says):
                await HttpAppDatabases(transport).ask(1, 20001, CHANGES[2])
    finally:
        await runner.cleanup()
