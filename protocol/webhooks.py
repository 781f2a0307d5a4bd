"""Results of jobs as the control plane delivers them, and how a receiver knows that they are its own.

One POST per ended job, with the JSON of `JobEnded` as its body. The headers in `protocol.headers` carry the delivery's
id, the second it was signed in and `v1=HMAC-SHA256(secret, "<timestamp>.<body>")` in hex, once per live secret. Any
answer from 200 to 299 takes the delivery; everything else, and silence, has it sent again, with the same id and body
and a new timestamp. So a receiver must expect each more than once, and refuse what was signed more than five minutes
ago. Deliveries of one app come one after the other, in the order in which its jobs ended.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime

from protocol.base import Wire
from protocol.jobs import JobView

#: How old, and how far ahead of the receiver's clock, a signature may be, in seconds.
WINDOW_SECONDS: Final = 300
#: Where the API entry takes deliveries.
RESULTS_PATH: Final = "/api/fun-ai/internal/deploy-events"
_SCHEME: Final = "v1="
_SECOND: Final = re.compile(r"[0-9]{1,12}")
_MOST_SIGNATURES: Final = 8


class SignatureRefused(Exception):
    """The request was not signed by the control plane, or too long ago."""


class JobEnded(Wire):
    """What is delivered. `id` is the same in every attempt; `event` is job.succeeded, job.failed or job.cancelled;
    `at` is when the job ended, by the control plane's database."""

    id: str
    event: str
    at: AwareDatetime
    job: JobView


class DeliveryState(StrEnum):
    """A delivery is PENDING until the receiver took it (DELIVERED) or it was given up (FAILED)."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


class DeliveryView(Wire):
    """One delivery as operators see it. `status` is the HTTP status of the last attempt's answer, if there was one, and
    `message` why that attempt failed; `nextAttemptAt` is null while it waits behind an earlier one of its app."""

    id: int
    delivery_id: str
    event: str
    app_id: str
    job_id: str
    state: DeliveryState
    attempts: int = 0
    status: int | None = None
    message: str | None = None
    next_attempt_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None = None


class DeliveryPage(Wire):
    """`GET /admin/webhooks`, newest first; `nextCursor` is null on the last page. `configured` is false when no
    receiver is: then ended jobs write no deliveries and those that are there wait."""

    items: tuple[DeliveryView, ...]
    next_cursor: str | None = None
    configured: bool = True


class ResultTaken(Wire):
    """The API's answer to a delivery; `repeated` when it had taken it before, `newest` when no newer result of the app
    was known."""

    id: str
    repeated: bool = False
    newest: bool = True


def signature(secrets: Iterable[str], timestamp: int, body: bytes) -> str:
    """The header's value: one signature per live secret, joined by commas."""
    return ",".join(f"{_SCHEME}{_digest(secret, timestamp, body)}" for secret in secrets)


def check_signature(secrets: Iterable[str], timestamp: str, given: str, body: bytes, now: int) -> None:
    """Raises SignatureRefused unless one of the given signatures is by one of the secrets and fresh; `now` is epoch
    seconds. Every comparison takes the same time, whether it fits or not."""
    if not _SECOND.fullmatch(timestamp):
        raise SignatureRefused("the timestamp must be whole seconds since 1970")
    signed = int(timestamp)
    digests = [each.removeprefix(_SCHEME) for each in given.split(",") if each.startswith(_SCHEME)]
    if not digests or len(digests) > _MOST_SIGNATURES or not given.isascii():
        raise SignatureRefused(f"the signature must be {_SCHEME} and the HMAC-SHA256 in hex")
    wanted = [_digest(secret, signed, body) for secret in secrets]
    if not any([hmac.compare_digest(one, other) for one in wanted for other in digests]):
        raise SignatureRefused("the signature is not by a secret that both sides know")
    if abs(now - signed) > WINDOW_SECONDS:
        raise SignatureRefused(f"it was signed more than {WINDOW_SECONDS} s ago or ahead; compare the clocks")


def _digest(secret: str, timestamp: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
