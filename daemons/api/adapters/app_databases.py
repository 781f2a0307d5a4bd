"""The databases of deployed apps through the control plane. Its answers are passed on as they come: it has bounded
them, and reading mebibytes of documents would keep everybody else waiting."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import httpx
from pydantic import ValidationError

from daemons.api import ports
from daemons.api.adapters.deploy_plane import UNREACHABLE, refusal
from daemons.kit.mongo.ports import DatabaseError, QueryRefused
from daemons.kit.seats import NoSeat
from protocol.base import Envelope
from protocol.client.databases import PLANE_SECONDS, AppDatabaseClient
from protocol.client.transport import ClientError, Refused, Transport
from protocol.databases import Change, Question
from protocol.errors import ErrorReason

_KINDS: Final[Mapping[int, type[Exception]]] = {
    HTTPStatus.UNPROCESSABLE_ENTITY: QueryRefused,
    HTTPStatus.TOO_MANY_REQUESTS: NoSeat,
}
_OTHER: Final = "the deploy control plane gave an answer of another contract"


class HttpAppDatabases:
    """The port `AppDatabases` over HTTP, with connections of its own: questions take seconds, and hold up no
    deployment."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def ask(self, user_id: int, app_id: int, question: Question) -> bytes:
        """Raises PlaneNotFound, PlaneInvalid, PlaneUnreachable, NoSeat, QueryRefused, DatabaseError."""
        client = AppDatabaseClient(self._transport, str(app_id), str(user_id))
        try:
            async with asyncio.timeout(PLANE_SECONDS):
                response = await client.raw(question)
        except (ClientError, TimeoutError) as error:
            unsure = "; look whether it was changed before you repeat it" if isinstance(question, Change) else ""
            raise ports.PlaneUnreachable(UNREACHABLE + unsure) from error
        if not response.is_success:
            raise _refused(app_id, response)
        if not response.headers.get("Content-Type", "").startswith("application/json"):
            raise ports.PlaneUnreachable(_OTHER)
        return response.content


def _refused(app_id: int, response: httpx.Response) -> Exception:
    try:
        said = Envelope[Any].model_validate_json(response.content)
    except ValidationError:
        return ports.PlaneUnreachable(_OTHER)
    status = response.status_code
    if status == HTTPStatus.NOT_FOUND:
        return ports.PlaneNotFound(f"app {app_id} is not deployed, so it has no database to look into; deploy it first")
    if status == HTTPStatus.SERVICE_UNAVAILABLE and said.reason == ErrorReason.PEER_FAILED:
        return DatabaseError(said.message)
    if status in _KINDS:
        return _KINDS[status](said.message)
    return refusal(Refused(status, said.message, said.reason, said.data))
