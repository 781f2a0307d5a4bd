"""Apps' databases through the control plane, from a real agent over twins: who asks, what is refused and audited."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from daemons.deploy.adapters.agent_databases import HttpAppDatabases
from daemons.deploy.adapters.agent_door import AgentDoor
from daemons.deploy.ports import AgentFailed
from daemons.deploy.ports.databases import AgentSilent
from daemons.kit.mongo.ports import QueryRefused
from daemons.kit.seats import NoSeat
from protocol.audit import AuditEntry, AuditQuery
from protocol.client.databases import AppDatabaseClient
from protocol.client.transport import Refused, Transport
from protocol.databases import (
    CreateCollection,
    DatabaseRef,
    DeleteDocument,
    FindDocuments,
    InsertDocument,
    ListCollections,
    Question,
    UpdateDocument,
)
from protocol.jobs import JobStatus, ReportJob
from tests.http.deploy.plane import HEADERS, TOKENS, Plane, serving
from tests.support.agent_served import AgentServed, agent_served
from tests.support.eventually import eventually
from tests.support.mongo_twin import TwinDatabases
from tests.support.questions import CALLS, HOSTILE

_APP = "20001"
_BASE = f"/deploy/apps/{_APP}/mongo"
_SECRET = "what only the document knows"


class World:
    """A control plane, an agent with a database server, and an app of user 1 on it."""

    def __init__(self, plane: Plane, agent: AgentServed, databases: TwinDatabases) -> None:
        self.plane = plane
        self.agent = agent
        self.databases = databases

    async def audited(self) -> list[AuditEntry]:
        """What the audit log has of databases, oldest first."""
        return list(reversed((await self.plane.admin.audit(AuditQuery(kind="database"))).items))

    @asynccontextmanager
    async def client(self, role: str = "api", user_id: str | None = "1") -> AsyncIterator[AppDatabaseClient]:
        """As the API asks, or an operator."""
        async with Transport(self.plane.url, {HEADERS[role]: TOKENS[role]}) as transport:
            yield AppDatabaseClient(transport, _APP, user_id)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    databases = TwinDatabases()
    async with agent_served(TOKENS["agent"], None, databases) as agent, serving() as plane:
        await plane.beat(agentBaseUrl=agent.url)
        await plane.create(_APP)
        job = await plane.claim()
        assert job is not None
        await agent.deploy(_APP, "1", 1)
        report = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, report)
        databases.calls.clear()
        yield World(plane, agent, databases)


async def test_documents_are_made_found_changed_and_removed(world: World) -> None:
    async with world.client() as client:
        made = await client.insert(InsertDocument(collection="things", doc='{"_id": "a", "n": 1}'))
        assert (made.user_id, made.app_id, made.db_name, made.inserted_id) == ("1", _APP, "db_u1_a20001", "a")
        change = UpdateDocument(collection="things", id="a", update='{"$set": {"n": 2}}')
        assert (await client.update(change)).modified_count == 1
        assert (await client.doc("things", "a")).doc == {"_id": "a", "n": 2}
        found = await client.find(FindDocuments(collection="things", filter='{"n": {"$gt": 1}}', limit=1))
        assert (found.items, found.returned, found.limit) == (({"_id": "a", "n": 2},), 1, 1)
        assert (await client.create(CreateCollection(collection="people"))).created is True
        assert (await client.collections()).collections == ("people", "things")
        assert (await client.delete(DeleteDocument(collection="things", id="a"))).deleted_count == 1
        assert (await client.doc("things", "a")).doc is None


async def test_answers_are_the_nodes_own(world: World) -> None:
    world.databases.collection("db_u1_a20001", "things").insert({"_id": "ü", "n": 1})
    answer = await world.plane.call("POST", f"{_BASE}/find?userId=1", role="api", json={"collection": "things"})
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (200, 200, "success")
    assert answer.json()["data"]["items"] == [{"_id": "ü", "n": 1}]
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


@pytest.mark.parametrize(("call", "body", "status", "says"), HOSTILE)
async def test_what_may_not_be_asked_reaches_no_node_and_no_audit_log(
    world: World, call: str, body: object, status: int, says: str
) -> None:
    answer = await world.plane.call("POST", f"{_BASE}/{call}", role="admin", json=body)
    assert (answer.status_code, says in answer.json()["message"]) == (status, True), answer.text
    assert (world.databases.calls, await world.audited()) == ([], [])


async def test_a_body_that_is_too_large_is_not_read(world: World) -> None:
    body = {"collection": "things", "doc": "x" * 1_100_000}
    answer = await world.plane.call("POST", f"{_BASE}/insert-one", role="api", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (413, "payload_too_large")


async def test_an_app_of_somebody_else_or_nowhere_has_no_database(world: World) -> None:
    await world.plane.create("20002")
    for method, call, body in CALLS:
        for app_id, user_id in ((_APP, 2), ("20002", 1), ("20009", 1)):
            path = f"/deploy/apps/{app_id}/mongo/{call}{'&' if '?' in call else '?'}userId={user_id}"
            answer = await world.plane.call(method, path, role="api", json=body)
            assert (answer.status_code, answer.json()["reason"]) == (404, "not_found")
            assert "is on no runtime node: it was never deployed, or it was deleted" in answer.json()["message"]
    assert (world.databases.calls, await world.audited()) == ([], [])


async def test_ids_that_are_none_are_refused(world: World) -> None:
    for path in ("/deploy/apps/UP/mongo/collections", f"{_BASE}/collections?userId=x", f"{_BASE}/doc?collection=a"):
        assert (await world.plane.call("GET", path, role="api")).status_code == 400


async def test_a_stopped_app_still_shows_its_database(world: World) -> None:
    await world.plane.call("POST", "/deploy/apps/stop", role="api", json={"userId": "1", "appId": _APP})
    async with world.client() as client:
        assert (await client.collections()).collections == ()


async def test_changes_are_audited_without_what_documents_hold(world: World) -> None:
    async with world.client() as client:
        await client.insert(InsertDocument(collection="things", doc=f'{{"_id": "a", "text": "{_SECRET}"}}'))
        await client.insert(InsertDocument(collection="things", doc=f'{{"_id": {{"text": "{_SECRET}"}}}}'))
        with pytest.raises(Refused, match="E11000") as refusal:
            await client.insert(InsertDocument(collection="things", doc=f'{{"_id": "a", "text": "{_SECRET}"}}'))
        assert (refusal.value.status, refusal.value.reason) == (422, "invalid_request")
        update = f'{{"$set": {{"text": "{_SECRET}"}}}}'
        await client.update(UpdateDocument(collection="things", id="b", update=update, upsert=True))
        await client.delete(DeleteDocument(collection="things", id="c"))
        await client.find(FindDocuments(collection="things", filter=f'{{"text": "{_SECRET}"}}'))
    entries = await world.audited()
    assert [entry.change for entry in entries] == ["asked", "done"] * 2 + ["asked", "refused"] + ["asked", "done"] * 2
    facts = ("call", "collection", "documentId", "changed", "userId", "node", "outcome")
    told = [tuple((entry.after or {})[key] for key in facts) for entry in entries[1::2]]
    assert told == [
        ("insert-one", "things", "a", 1, "1", "n1", "done"),
        ("insert-one", "things", None, 1, "1", "n1", "done"),
        ("insert-one", "things", None, None, "1", "n1", "refused"),
        ("update-by-id", "things", "b", 1, "1", "n1", "done"),
        ("delete-by-id", "things", "c", 0, "1", "n1", "done"),
    ]
    assert {(entry.subject, entry.actor, entry.source_address) for entry in entries} == {(_APP, "api", "127.0.0.1")}
    assert _SECRET not in str(entries)


async def test_an_operators_look_is_audited_and_an_owners_is_not(world: World) -> None:
    async with world.client("admin", None) as operator:
        await operator.collections()
        await operator.doc("things", "a")
    async with world.client() as client:
        await client.collections()
    looks = [(entry.change, entry.actor, (entry.after or {})["call"]) for entry in await world.audited()]
    assert looks == [("looked", "admin", "collections"), ("looked", "admin", "doc")]


async def test_a_node_that_is_away_is_said_to_be_and_never_how_it_is_reached(world: World) -> None:
    await world.agent.runner.cleanup()
    for method, call, body in CALLS:
        answer = await world.plane.call(method, f"{_BASE}/{call}", role="api", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (503, "peer_failed")
        said = answer.json()["message"]
        assert "node n1 cannot be asked for the database of app 20001: its agent does not answer" in said
        assert "try again in a minute; operators: look at the agent of n1" in said
        assert "127.0.0.1" not in said and "not known" not in said and TOKENS["agent"] not in answer.text
        assert "Retry-After" in answer.headers
    assert [entry.change for entry in await world.audited()] == ["asked", "refused"] * 4


async def test_a_database_server_that_is_away_leaves_a_change_in_doubt(world: World) -> None:
    world.databases.away = True
    async with world.client() as client:
        with pytest.raises(Refused, match="cannot be reached: connection refused; try again") as refusal:
            await client.collections()
        assert (refusal.value.status, refusal.value.reason) == (503, "peer_failed")
        with pytest.raises(Refused, match="whether it was changed is not known, so look before you repeat it"):
            await client.delete(DeleteDocument(collection="things", id="a"))
    assert [entry.change for entry in await world.audited()] == ["asked", "unknown"]


async def test_a_node_without_a_database_server_says_so() -> None:
    async with agent_served(TOKENS["agent"]) as agent, serving() as plane:
        await plane.beat(agentBaseUrl=agent.url)
        await plane.create(_APP)
        assert await plane.claim() is not None
        answer = await plane.call("POST", f"{_BASE}/{CALLS[3][1]}", role="api", json=CALLS[3][2])
        assert (answer.status_code, "set RUNTIME_MONGO_HOST" in answer.text) == (503, True)
        newest = (await plane.admin.audit(AuditQuery(kind="database"))).items[0]
        assert newest.change == "refused"


class Stranger:
    """Something at an agent's address that is none of ours."""

    def __init__(self) -> None:
        self.answer: web.Response | None = None
        self.let_go = asyncio.Event()
        self.asked = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers what it was given, or nothing for as long as it can."""
        self.asked += 1
        if self.answer is None:
            await self.let_go.wait()
            none = {"userId": "1", "appId": _APP, "dbName": "db_u1_a20001", "collections": []}
            return web.json_response({"code": 200, "message": "success", "data": none})
        return self.answer

    async def is_crowded(self) -> bool:
        return self.asked == 4

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """Answers without end."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while not self.let_go.is_set():
                await response.write(b"[" * 65536)
        except ConnectionError:
            pass
        return response


@asynccontextmanager
async def listening(stranger: Stranger) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/endless/{path:.*}", stranger.endless)
    app.router.add_route("*", "/{path:.*}", stranger.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        stranger.let_go.set()
        await runner.cleanup()


CHANGE = DeleteDocument(collection="things", id="a")


@pytest.mark.parametrize(
    ("answer", "question", "raised", "says"),
    [
        (web.json_response({"detail": "Not Found"}, status=404), CHANGE, AgentFailed, "has no explorer"),
        (web.json_response({"detail": "unauthorized"}, status=401), CHANGE, AgentFailed, "RUNTIME_AGENT_TOKEN"),
        (web.json_response({"detail": [{"loc": ["x"]}]}, status=422), CHANGE, QueryRefused, "HTTP 422"),
        (web.json_response({"detail": "x" * 3000}, status=400), CHANGE, QueryRefused, "HTTP 400"),
        (web.json_response({"detail": "wait"}, status=429), CHANGE, NoSeat, "wait"),
        (web.Response(text="<h1>oops</h1>", status=500), CHANGE, AgentSilent, "HTTP 500"),
        (web.Response(text="<h1>hello</h1>"), CHANGE, AgentSilent, "something else than JSON"),
        (
            web.Response(body=b"{}", content_type="application/json", headers={"Content-Encoding": "gzip"}),
            CHANGE,
            AgentSilent,
            "something else than JSON",
        ),
    ],
)
async def test_what_strangers_answer_is_told_apart(
    answer: web.Response, question: Question, raised: type[Exception], says: str
) -> None:
    stranger = Stranger()
    stranger.answer = answer
    async with listening(stranger) as url:
        with pytest.raises(raised, match=says) as caught:
            await HttpAppDatabases(AgentDoor("token")).ask(url, DatabaseRef(user_id="1", app_id=_APP), question)
    assert type(caught.value) is raised


@pytest.mark.parametrize(("question", "raised"), [(ListCollections(), QueryRefused), (CHANGE, AgentSilent)])
async def test_an_answer_without_end_is_not_held(question: Question, raised: type[Exception]) -> None:
    async with listening(Stranger()) as url:
        with pytest.raises(raised):
            await HttpAppDatabases(AgentDoor("token")).ask(
                f"{url}/endless", DatabaseRef(user_id="1", app_id=_APP), question
            )


async def test_an_agent_that_says_nothing_is_waited_for_no_longer_than_it_may_take() -> None:
    async with listening(Stranger()) as url:
        agents = HttpAppDatabases(AgentDoor("token"), seconds=0.2)
        with pytest.raises(AgentSilent):
            await agents.ask(url, DatabaseRef(user_id="1", app_id=_APP), CHANGE)


async def test_the_agents_token_goes_to_no_address_where_no_agent_may_be() -> None:
    with pytest.raises(AgentFailed, match="DEPLOY_AGENT_ADDRESSES"):
        await HttpAppDatabases(AgentDoor("token")).ask(
            "http://203.0.113.7:7005", DatabaseRef(user_id="1", app_id=_APP), CHANGE
        )


async def test_an_answer_to_another_question_leaves_a_change_in_doubt(world: World) -> None:
    stranger = Stranger()
    stranger.let_go.set()
    async with listening(stranger) as url, world.client() as client:
        await world.plane.beat(agentBaseUrl=url)
        with pytest.raises(Refused, match="its agent answered something else; whether it was changed is not known"):
            await client.delete(DeleteDocument(collection="things", id="a"))
    assert [entry.change for entry in await world.audited()] == ["asked", "unknown"]


async def test_questions_about_one_users_apps_are_bounded(world: World) -> None:
    stranger = Stranger()
    async with listening(stranger) as url:
        await world.plane.beat(agentBaseUrl=url)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            waiting = [group.create_task(world.plane.call("GET", f"{_BASE}/collections", role="api")) for _ in range(4)]
            await eventually(stranger.is_crowded)
            answer = await world.plane.call("GET", f"{_BASE}/collections", role="api")
            assert (answer.status_code, answer.json()["reason"]) == (429, "rate_limited")
            assert "of user 1 already" in answer.json()["message"]
            stranger.let_go.set()
    assert [task.result().status_code for task in waiting] == [200] * 4
