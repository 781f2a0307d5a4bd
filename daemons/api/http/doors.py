"""The one place where a request is let in: by the rule of its route, for the user that its token stands for."""

import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, assert_never

from aiohttp import web

from daemons.api.domain.access import Subject, check_named
from daemons.api.domain.rules import Named, Row, Rule, row_of
from daemons.api.http.callers import HELD, PERSON, SCHEME, Person, person_of_gate
from daemons.api.services.accounts import Accounts, ApiKeys
from daemons.api.services.limits import Limits
from daemons.api.services.sessions import Sessions, digest
from daemons.api.services.watch import Held, Watch
from daemons.kit.auth import CALLER, SOURCE, Access, Forbidden, Gate, Unauthorized
from daemons.kit.bodies import InvalidRequest, plain
from daemons.kit.openapi import check_described
from daemons.kit.settings import Misconfigured
from protocol.accounts import Role
from protocol.headers import ADMIN_TOKEN, API_KEY_PREFIX, AUTHORIZATION

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
#: As wire models read it: by its name on the wire, and by its name in code.
_NAMES: Final = ("userId", "user_id")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Gates:
    """Who shows a secret of the settings."""

    people: Sequence[Gate]
    admin: Gate
    nodes: Sequence[Gate]
    gateways: Gate


@dataclass(frozen=True, slots=True)
class People:
    """Who shows something that is in the tables."""

    sessions: Sessions
    accounts: Accounts
    keys: ApiKeys


class Doors:
    """A middleware over `RULES`."""

    def __init__(self, access: Access, gates: Gates, people: People, limits: Limits, watch: Watch) -> None:
        self._access = access
        self._gates = gates
        self._sessions = people.sessions
        self._accounts = people.accounts
        self._keys = people.keys
        self._limits = limits
        self._watch = watch

    def middleware(self) -> Any:
        """Checks every request that resolved to a route; 404 and 405 pass through to be answered as such."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            route = request.match_info.route
            if request.match_info.http_exception is None and route.resource is not None:
                row = row_of(route.method, route.resource.canonical)
                if row is None:
                    raise Forbidden("this route is open to nobody")
                await self._admit(request, row)
                if row.expensive:
                    self._limits.take(request[CALLER])
            return await self._answered(request, handler)

        return middleware

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        person = request.get(PERSON)
        if person is None:
            return await handler(request)
        held = request[HELD] = Held(person.proof, partial(_cut, request))
        with self._watch.over(held):
            return await handler(request)

    async def _admit(self, request: web.Request, row: Row) -> None:
        match row.rule:
            case Rule.ANYONE | Rule.SIGNED:
                self._access.note(request)
            case Rule.NODE:
                self._access.prove(request, self._gates.nodes)
            case Rule.GATEWAY:
                self._access.prove(request, (self._gates.gateways,))
            case Rule.OPERATOR:
                await self._admit_role(request, Role.OPERATOR)
            case Rule.ADMIN:
                await self._admit_role(request, Role.ADMIN)
            case Rule.USER | Rule.SESSION:
                await self._admit_person(request, row)
            case _:
                assert_never(row.rule)

    async def _admit_role(self, request: web.Request, wanted: Role) -> None:
        """The admin token, or a person of that role from where operators may call. Who orders something is logged."""
        if ADMIN_TOKEN in request.headers or AUTHORIZATION not in request.headers:
            self._access.prove(request, (self._gates.admin,))
        else:
            person = await self._person(request)
            if not person.role.covers(wanted):
                raise Forbidden(f"this needs the role {wanted.value}; ask somebody who has it")
            self._access.require_inside(request, self._gates.admin.networks)
        if request.method not in ("GET", "HEAD"):
            said = {"caller": request[CALLER], "source_address": request[SOURCE], "path": request.path}
            logger.info("an operator orders something", extra=said)

    async def _admit_person(self, request: web.Request, row: Row) -> None:
        person = await self._person(request)
        if row.rule is Rule.SESSION and person.session is None:
            raise Forbidden("this needs a login; keys and tokens of the settings do not open it")
        if row.named is Named.HERE:
            await _check_user(request, person.subject)

    async def _person(self, request: web.Request) -> Person:
        """Whose token it is. Raises Unauthorized, NotLoggedIn."""
        person = await self._proven(request)
        request[PERSON], request[CALLER] = person, person.name
        return person

    async def _proven(self, request: web.Request) -> Person:
        self._access.note(request)
        given = request.headers.getall(AUTHORIZATION, [])
        token = given[0].removeprefix(SCHEME).strip() if len(given) == 1 and given[0].startswith(SCHEME) else ""
        if token.startswith(API_KEY_PREFIX):
            account, role = await self._keys.holder(token)
            return Person(Subject(account.user_id), role, key=digest(token))
        if token.count(".") == 2 and not any(gate.proves(request) for gate in self._gates.people):
            session = await self._sessions.of_token(token)
            return Person(Subject(session.account.user_id), session.account.role, session)
        if not self._gates.people:
            raise Unauthorized(f"a valid token is required in the header {AUTHORIZATION}")
        self._access.prove(request, self._gates.people)
        person = person_of_gate(request)
        await self._accounts.check_enabled(person.subject.user_id)
        return person


def _cut(request: web.Request) -> None:
    """Only a line that breaks says that this is not the end of what was asked for."""
    if request.transport is not None:
        request.transport.abort()


def check_routes(router: web.UrlDispatcher) -> None:
    """Raises Misconfigured when a route has no rule, which would be open to nobody or to everybody, or does not say
    what it answers."""
    routes = [(route.method, route.resource.canonical) for route in router.routes() if route.resource is not None]
    bare = sorted(f"{method} {path}" for method, path in routes if row_of(method, path) is None)
    if bare:
        raise Misconfigured(f"no rule says who may call {', '.join(bare)}; add it to daemons/api/domain/rules.py")
    check_described(router)


async def _check_user(request: web.Request, subject: Subject) -> None:
    """Raises WrongUser when the request names somebody else anywhere, InvalidRequest for what is no user's id."""
    named: list[object] = [text for name in _NAMES for text in request.query.getall(name, [])]
    named += [request.match_info[name] for name in _NAMES if name in request.match_info]
    if request.can_read_body:
        named += _in_body(await request.read())
    for value in named:
        text = str(value)
        if not _NUMBER.fullmatch(text):
            raise InvalidRequest("userId: must be a whole number", ["userId"])
        check_named(subject, text)


def _in_body(body: bytes) -> list[object]:
    """The users that a JSON document names; any other body is the handler's to refuse."""
    try:
        document = plain(body) if body else None
    except ValueError:
        return []
    found = [document.get(name) for name in _NAMES] if isinstance(document, dict) else []
    return [value for value in found if value is not None]
