"""Bodies, queries, problems, health and metrics over a real server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, ClassVar

import httpx
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StringConstraints

from daemons.kit import bodies
from daemons.kit.bodies import InvalidRequest, number, query, read, reply
from daemons.kit.health import HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.problems import as_detail, in_envelope, problem_middleware
from protocol.base import Wire
from protocol.errors import ErrorReason
from protocol.names import Labels, ShortText
from tests.support.eventually import eventually

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Order(Wire):
    """A body and a query."""

    name: str
    count: int = 1
    loud: bool = False


class Annotations(Wire):
    """Fields whose annotations' names have the names of other types in them."""

    words: ShortText | None = None
    paint: Annotated[str, StringConstraints(max_length=9)] = ""
    bools: Annotated[str | None, Field(description="int or bool")] = None
    some: Annotated[int, Field(ge=0)] | None = None
    sure: Annotated[bool | None, Field()] = None
    names: Labels | None = None


class Broken(Exception):
    """A domain error with data."""

    data: ClassVar = {"length": 3}


class VeryBroken(Broken):
    """One of its family."""


class FixedClock:
    def now(self) -> datetime:
        return NOW


async def echo(request: web.Request) -> web.Response:
    return reply(await read(request, Order))


async def ask(request: web.Request) -> web.Response:
    order = query(request, Order)
    return reply(f"{order.name!r} {order.count!r} {order.loud!r} {number(request, 'n', default=5, low=1, high=9)}")


async def annotated(request: web.Request) -> web.Response:
    return reply(query(request, Annotations))


async def fail(request: web.Request) -> web.Response:
    kind = request.query["kind"]
    if kind == "known":
        raise VeryBroken("it is very broken")
    if kind == "media":
        raise web.HTTPUnsupportedMediaType
    raise RuntimeError("secret details")


@asynccontextmanager
async def server(
    *routes: web.RouteDef, detail: bool = False, metrics: Metrics | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    metrics = metrics or Metrics()
    problems = problem_middleware({Broken: (409, ErrorReason.LOG_GAP)}, as_detail if detail else in_envelope)
    app = web.Application(middlewares=[metrics.middleware(), problems], client_max_size=1000)
    app.add_routes([*routes, *metrics.table()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
            yield client
    finally:
        await runner.cleanup()


async def test_a_body_is_read_and_answered_in_the_envelope() -> None:
    async with server(web.post("/", echo)) as client:
        answer = await client.post("/", json={"name": "x", "extra": 1})
        assert answer.json() == {"code": 200, "message": "ok", "data": {"name": "x", "count": 1, "loud": False}}
        assert answer.headers["x-request-id"]


async def test_every_bad_field_is_named_and_no_value_is_echoed() -> None:
    async with server(web.post("/", echo)) as client:
        answer = await client.post("/", json={"name": 7, "count": "hunter2", "loud": 1})
        assert answer.status_code == 400
        assert answer.json()["data"] == {"fields": ["name", "count", "loud"]}
        assert "hunter2" not in answer.text
        assert (await client.post("/", content=b"x" * 2000)).json()["code"] == 413


async def test_a_query_is_typed_by_its_model_and_not_by_its_text() -> None:
    async with server(web.get("/", ask)) as client:
        assert (await client.get("/?name=true&count=7&loud=1&n=99")).json()["data"] == "'true' 7 True 9"
        assert (await client.get("/?name=12&loud=false")).json()["data"] == "'12' 1 False 5"
        for bad, field in (
            ("count=1", "name"),
            ("name=x&count=x", "count"),
            ("name=x&loud=2", "loud"),
            ("name=x&n=1.5", "n"),
        ):
            answer = await client.get(f"/?{bad}")
            assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field])


async def test_what_a_type_is_annotated_with_does_not_make_it_a_number() -> None:
    async with server(web.get("/", annotated)) as client:
        found = await client.get("/?words=12&paint=1&bools=true&some=007&sure=1")
        told = {"words": "12", "paint": "1", "bools": "true", "some": 7, "sure": True, "names": None}
        assert found.json()["data"] == told
        answer = await client.get("/?names=12")
        assert (answer.status_code, answer.json()["data"]["fields"]) == (400, ["names"])


async def flood(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def test_a_reader_who_goes_away_is_no_crash(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with server(web.get("/", flood)) as client:
        async with client.stream("GET", "/") as answer:
            assert await anext(answer.aiter_raw())

        async def told() -> bool:
            return "whoever asked has gone before the end of the answer" in caplog.messages

        await eventually(told)
    assert "a request crashed" not in caplog.messages


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(body: bytes) -> None:
    try:
        bodies.parse(body, Order)
    except InvalidRequest as error:
        assert error.fields and len(str(error)) < 2000


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_document_crashes_the_reader(document: object) -> None:
    try:
        bodies.parse(orjson.dumps(document, default=str), Order)
    except (InvalidRequest, TypeError):
        return


async def test_errors_are_answered_by_their_family_and_unknown_ones_without_their_text() -> None:
    async with server(web.get("/", fail)) as client:
        known = await client.get("/?kind=known")
        assert known.status_code == 409
        assert known.json() == {"code": 409, "message": "it is very broken", "data": {"length": 3}, "reason": "log_gap"}
        crash = await client.get("/?kind=crash")
        assert (crash.status_code, crash.json()["reason"]) == (500, "internal") and "secret" not in crash.text
        assert (await client.get("/?kind=media")).json()["reason"] == "unsupported_media_type"
        assert (await client.get("/nowhere")).json()["reason"] == "not_found"
        assert (await client.post("/")).json()["code"] == 405


async def test_agents_answer_with_detail() -> None:
    async with server(web.get("/", fail), detail=True) as client:
        answer = await client.get("/?kind=known")
        assert answer.json() == {"detail": "it is very broken", "reason": "log_gap", "data": {"length": 3}}


async def test_a_request_id_of_the_callers_is_kept_when_it_is_harmless() -> None:
    async with server(web.post("/", echo)) as client:
        kept = await client.post("/", json={"name": "x"}, headers={"X-Request-Id": "abc123"})
        assert kept.headers["x-request-id"] == "abc123"
        replaced = await client.post("/", json={"name": "x"}, headers={"X-Request-Id": "a b;c"})
        assert replaced.headers["x-request-id"].isalnum()


async def test_ready_names_the_checks_that_fail() -> None:
    async def fine() -> None:
        return None

    async def broken() -> None:
        raise RuntimeError("no disk")

    async def hangs() -> None:
        await asyncio.Event().wait()

    routes = HealthRoutes("thing", FixedClock(), {"a": fine, "b": broken, "c": hangs})
    async with server(*routes.table()) as client:
        assert (await client.get("/internal/health")).json()["data"]["service"] == "thing"
        answer = await client.get("/internal/ready")
        assert answer.status_code == 503 and set(answer.json()["data"]["checks"]) == {"b", "c"}
        assert "b: no disk" in answer.json()["message"]


async def test_requests_are_counted_by_route_and_figures_refreshed_first() -> None:
    metrics, refreshed = Metrics(), []

    async def refresh() -> None:
        refreshed.append(True)

    metrics.before(refresh)
    async with server(web.post("/things/{id}", echo), metrics=metrics) as client:
        await client.post("/things/1", json={"name": "x"})
        await client.request("PROPFIND", "/things/2")
        text = (await client.get("/metrics")).text
    assert 'funai_http_requests_total{method="POST",route="/things/{id}",status="200"} 1.0' in text
    assert 'method="OTHER"' in text and "PROPFIND" not in text and refreshed == [True]
