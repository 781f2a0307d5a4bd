"""Whom a signed request speaks for. Query and body name the user and the app at most once each, and alike."""

from typing import Final, TypeVar

from aiohttp import web

from daemons.kit.bodies import InvalidRequest, query, read
from protocol.base import Wire

Model = TypeVar("Model", bound=Wire)

_WHO: Final = ("userId", "appId")


def named(request: web.Request, model: type[Model]) -> Model:
    """What the query says. Raises InvalidRequest, also for a name that stands there twice: two readers could see two
    different users in it."""
    for name in request.query:
        if len(request.query.getall(name)) > 1:
            raise InvalidRequest(f"{name}: must be given once", [name])
    return query(request, model)


async def ordered(request: web.Request, model: type[Model]) -> Model:
    """What a JSON body says. Raises InvalidRequest, also when the query names another user or app than the body: one of
    the two was checked on the way here."""
    body = await read(request, model)
    said = body.to_data()
    for name in _WHO:
        if any(value != said.get(name) for value in request.query.getall(name, [])):
            raise InvalidRequest(f"{name}: query and body name different ones", [name])
    return body
