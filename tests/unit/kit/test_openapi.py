"""How contracts are made: what is taken from a handler's source, what must be said, and what is refused."""

import pytest
from aiohttp import web
from pydantic import Field

from daemons.kit.auth import Access, Gate
from daemons.kit.bodies import number, query, read, reply
from daemons.kit.openapi import Answers, check_described
from daemons.kit.settings import Misconfigured
from protocol.base import Wire
from protocol.errors import ErrorReason
from protocol.headers import IDEMPOTENCY_KEY
from tests.support.openapi.documents import Plane, document
from tests.support.openapi.schemas import Schema

NAMES = ("first", "second")


class Order(Wire):
    """What is ordered."""

    app_id: str
    many: int = Field(default=1, ge=1)


class Whose(Wire):
    """Whose it is."""

    user_id: int | None = None


class Done(Wire):
    """What came of it."""

    order: str
    note: str | None = None


class Busy(Exception):
    """Not now."""


class Routes:
    """Handlers of every kind of reading."""

    def table(self) -> list[web.RouteDef]:
        return [web.post("/orders/{order}", self.order), web.get("/orders", self.listed)]

    @Answers(Done, refuses=(409,))
    async def order(self, request: web.Request) -> web.Response:
        """An order."""
        return await self._ordered(request, Order)

    @Answers(list[Done])
    async def listed(self, request: web.Request) -> web.Response:
        """All
        orders."""
        whose, limit = query(request, Whose), number(request, "limit", default=5, low=1, high=2**4)
        seen = [request.query.get(name) for name in NAMES]
        return reply([Done(order=f"{whose.user_id}{limit}{seen}{_key(request)}")])

    async def _ordered(self, request: web.Request, kind: type[Order]) -> web.Response:
        return reply(Done(order=(await read(request, kind)).app_id))


class Silent:
    """A handler of which nothing is said."""

    async def handle(self, _request: web.Request) -> web.Response:
        return reply(None)


class Clever:
    """A handler whose source does not tell what it reads."""

    @Answers(Done)
    async def handle(self, request: web.Request) -> web.Response:
        """Whatever."""
        return reply(Done(order=request.query.get(_secretly(), "")))


def _key(request: web.Request) -> str:
    return request.headers.get(IDEMPOTENCY_KEY, "")


def _secretly() -> str:
    return "name"


def made(*tables: list[web.RouteDef]) -> Schema:
    """The contract of an application with these routes behind a gate."""
    app, access = web.Application(), Access()
    for table in tables:
        app.add_routes(access.routes(table, Gate("people", "X-Token", ("token",))))
    return document(
        Plane(
            title="Test",
            about="",
            app=app,
            problems={Busy: (409, ErrorReason.APP_BUSY)},
            schemes={"people": {"type": "apiKey", "in": "header", "name": "X-Token"}},
            guards=lambda method, path: [(gate.name,) for gate in access.gates(method, path)],
        )
    )


def test_bodies_and_answers_are_those_of_the_handler() -> None:
    contract = made(Routes().table())
    operation = contract["paths"]["/orders/{order}"]["post"]
    body = operation["requestBody"]
    assert body == {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
    }
    assert operation["summary"] == "An order." and operation["security"] == [{"people": []}]
    assert set(operation["responses"]) == {"200", "400", "401", "403", "409", "413"}
    refused = contract["components"]["responses"]["Refused409"]["content"]["application/json"]["schema"]
    assert refused["properties"]["reason"] == {"enum": ["app_busy"]}
    assert contract["components"]["schemas"]["Done"]["required"] == ["order", "note"]
    assert contract["components"]["schemas"]["Order"]["required"] == ["appId"]


def test_parameters_are_found_wherever_the_request_goes() -> None:
    operation = made(Routes().table())["paths"]["/orders"]["get"]
    found = {(each["in"], each["name"]) for each in operation["parameters"]}
    names = ("userId", "limit", *NAMES)
    assert found == {*(("query", name) for name in names), ("header", IDEMPOTENCY_KEY)}
    assert operation["summary"] == "All orders."
    assert "requestBody" not in operation


def test_a_route_of_which_nothing_is_said_is_named_with_its_handler() -> None:
    app = web.Application()
    app.add_routes([web.get("/silent", Silent().handle)])
    with pytest.raises(
        Misconfigured, match=r"GET /silent \(Silent\.handle in tests\.unit\.kit\.test_openapi\).*@Answers"
    ):
        check_described(app.router)


def test_what_a_source_does_not_tell_must_be_said() -> None:
    with pytest.raises(ValueError, match=r"GET /clever.*_secretly.*say it with"):
        made([web.get("/clever", Clever().handle)])
