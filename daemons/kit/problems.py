"""One table from domain errors to HTTP answers, one middleware that applies it.

Exceptions carry no status. The middleware walks the exception's classes, so a family can be mapped by its root; what
is not in the table is logged with its traceback and answered 500 without its text.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import structlog
from aiohttp import web

from daemons.kit.bodies import InvalidRequest, bare, refuse
from protocol.errors import ErrorReason
from protocol.headers import REQUEST_ID

#: Callers that were refused at once do not come back all at once.
_RETRY_AFTER_SECONDS: Final = (1, 3)

logger = logging.getLogger(__name__)
_random = secrets.SystemRandom()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Problems = Mapping[type[Exception], tuple[int, ErrorReason]]
Refusal = Callable[[int, str, ErrorReason, object], web.Response]

#: Of refusals that no table of problems names.
HTTP_REASONS: Final[Mapping[int, ErrorReason]] = {
    400: ErrorReason.INVALID_REQUEST,
    401: ErrorReason.UNAUTHORIZED,
    403: ErrorReason.FORBIDDEN,
    404: ErrorReason.NOT_FOUND,
    405: ErrorReason.METHOD_NOT_ALLOWED,
    412: ErrorReason.INVALID_REQUEST,
    413: ErrorReason.PAYLOAD_TOO_LARGE,
    415: ErrorReason.UNSUPPORTED_MEDIA_TYPE,
}


def in_envelope(status: int, message: str, reason: ErrorReason, data: object) -> web.Response:
    """Refusals of deploy and API."""
    return refuse(status, message, reason.value, data)


def as_detail(status: int, message: str, reason: ErrorReason, data: object) -> web.Response:
    """Refusals of agents: `{"detail": ...}`, as existing callers expect."""
    body: dict[str, Any] = {"detail": message, "reason": reason.value}
    return bare(body | {"data": data} if data is not None else body, status=status)


def problem_middleware(
    problems: Problems, refusal: Refusal = in_envelope, veiled: Mapping[type[Exception], str] = MappingProxyType({})
) -> Any:
    """Turn every exception of a handler into an answer; cancellation passes through. The own words of those that are
    `veiled` are for the log alone, and these are told."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        request_id = _request_id(request)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                response = await handler(request)
            except asyncio.CancelledError:
                raise
            except InvalidRequest as error:
                response = refusal(400, str(error), ErrorReason.INVALID_REQUEST, {"fields": list(error.fields)})
            except web.HTTPException as error:
                reason = HTTP_REASONS.get(error.status, ErrorReason.INTERNAL)
                response = refusal(error.status, _said(error), reason, None)
            except Exception as error:  # noqa: BLE001 - the edge: everything below is answered here
                response = _mapped(request, error, problems, _veiling(refusal, error, veiled))
        if not response.prepared:
            response.headers.setdefault(REQUEST_ID, request_id)
        if request.content.exception() is not None:
            _leave_rest(request, response)
        return response

    return middleware


def _leave_rest(request: web.Request, response: web.StreamResponse) -> None:
    """Of a body that cannot be read nothing more is read: aiohttp would try for the next request's sake, and log a
    traceback."""
    response.force_close()
    request.content.feed_eof()


def _veiling(refusal: Refusal, error: Exception, veiled: Mapping[type[Exception], str]) -> Refusal:
    told = next((veiled[kind] for kind in type(error).__mro__ if kind in veiled), None)
    if told is None:
        return refusal
    return lambda status, _message, reason, data: refusal(status, told, reason, data)


def _said(error: web.HTTPException) -> str:
    return f"body: {error.text}" if error.status == 413 else error.reason


def _mapped(request: web.Request, error: Exception, problems: Problems, refusal: Refusal) -> web.Response:
    for kind in type(error).__mro__:
        if kind in problems:
            status, reason = problems[kind]
            if status >= 500:
                logger.warning("a request failed", extra={"path": request.path, "status": status, "error": str(error)})
            answer = refusal(status, str(error), reason, getattr(error, "data", None))
            if (seconds := getattr(error, "retry_after", None)) is not None:
                answer.headers["Retry-After"] = str(seconds)
            elif status == 503:
                answer.headers["Retry-After"] = str(_random.randint(*_RETRY_AFTER_SECONDS))
            return answer
    if isinstance(error, web.RequestPayloadError):
        told = "body: ends early, or is not encoded as it says"
        return refusal(400, told, ErrorReason.INVALID_REQUEST, {"fields": ["body"]})
    if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
        logger.info("whoever asked has gone before the end of the answer", extra={"path": request.path})
        return refusal(500, "nobody reads this", ErrorReason.INTERNAL, None)
    logger.error("a request crashed", exc_info=error, extra={"path": request.path, "method": request.method})
    return refusal(500, "internal error; the log of this daemon has the details", ErrorReason.INTERNAL, None)


def _request_id(request: web.Request) -> str:
    given = request.headers.get(REQUEST_ID, "")
    return given if given.isascii() and given.isalnum() and len(given) <= 64 else secrets.token_hex(8)
