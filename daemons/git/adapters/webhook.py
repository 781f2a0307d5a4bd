"""Tells the API of pushes over HTTP, in the words of Gitea, signed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from daemons.git.domain.pushes import Push
from daemons.git.ports import Untold
from protocol.client.transport import ClientError, Transport
from protocol.headers import GITEA_DELIVERY, GITEA_EVENT, GITEA_SIGNATURE
from protocol.pushes import BRANCHES, PUSH, push_signature

_SECONDS: Final = 10.0
_MOST_WORDS: Final = 200


def new_id() -> str:
    """An id that no other delivery has."""
    return str(uuid4())


class HttpReceiver:
    """The port `PushReceiver`."""

    def __init__(self, transport: Transport, path: str, secret: str) -> None:
        self._transport = transport
        self._path = path
        self._secret = secret

    async def tell(self, repository: str, push: Push) -> None:
        """Raises Untold."""
        owner, _, name = repository.partition("/")
        body = orjson.dumps(
            {
                "ref": f"{BRANCHES}{push.branch}",
                "before": push.before,
                "after": push.after,
                "repository": {"name": name, "full_name": repository, "owner": {"login": owner}},
            }
        )
        headers = {
            "Content-Type": "application/json",
            GITEA_EVENT: PUSH,
            GITEA_DELIVERY: push.id,
            GITEA_SIGNATURE: push_signature(self._secret, body),
        }
        try:
            answer = await self._transport.send("POST", self._path, content=body, headers=headers)
        except ClientError as error:
            raise Untold(str(error)) from error
        if not answer.is_success:
            raise Untold(f"{self._transport.base_url} answers {answer.status_code}: {answer.text[:_MOST_WORDS]}")


@asynccontextmanager
async def webhook(url: str, secret: str) -> AsyncIterator[HttpReceiver]:
    """Who is told, for the duration of the block."""
    parts = urlsplit(url)
    async with Transport(f"{parts.scheme}://{parts.netloc}", {}, timeout=_SECONDS) as transport:
        yield HttpReceiver(transport, parts.path or "/", secret)
