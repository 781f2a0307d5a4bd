"""Answers that are sent once: whoever asks every few seconds is told that nothing changed."""

import hashlib
from typing import Final

from aiohttp import web

_DIGITS: Final = 32


def unless_known(request: web.Request, response: web.Response) -> web.Response:
    """The answer with a tag of its content, or 304 without any for a caller who named that tag. No cache keeps it."""
    body = response.body
    if response.status != 200 or not isinstance(body, bytes):
        return response
    tag = f'"{hashlib.sha256(body).hexdigest()[:_DIGITS]}"'
    kept = {"ETag": tag, "Cache-Control": "no-store"}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=kept)
    response.headers.update(kept)
    return response
