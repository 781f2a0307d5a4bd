"""Pushes as Gitea tells of them, and the git server of ours in the same words; and what becomes of them.

One POST per branch that changed, with the JSON of `GitPush` among other keys as its body. `X-Gitea-Event` says `push`,
`X-Gitea-Delivery` is the id of the delivery, the same in every attempt, and `X-Gitea-Signature` the HMAC-SHA256 of the
body in hex. An answer from 200 to 299 takes it. Gitea tells once; the git server of ours until it was taken.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from protocol.api import OfApp
from protocol.base import Wire
from protocol.names import GitRef

#: Where the API entry takes pushes.
PUSHES_PATH: Final = "/api/fun-ai/webhooks/git"
PUSH: Final = "push"
BRANCHES: Final = "refs/heads/"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")


class PushSignatureRefused(Exception):
    """Whoever tells of the push does not know the secret."""


def _commit(value: str) -> str:
    if not _COMMIT.fullmatch(value):
        raise ValueError("must be a commit: 40 or 64 hexadecimal digits")
    return value


def _once_each(values: tuple[GitRef, ...]) -> tuple[GitRef, ...]:
    return tuple(dict.fromkeys(values))


Commit = Annotated[str, AfterValidator(_commit)]
Branches = Annotated[tuple[GitRef, ...], Field(min_length=1, max_length=20), AfterValidator(_once_each)]


class PushedRepository(Wire):
    """`owner/name`."""

    full_name: Annotated[str, StringConstraints(max_length=255)] = Field(alias="full_name")


class GitPush(Wire):
    """What is read of a push. `after` is all zeros when the reference was removed; the keys are Gitea's, not ours."""

    ref: Annotated[str, StringConstraints(max_length=512)]
    before: Commit
    after: Commit
    repository: PushedRepository

    @property
    def branch(self) -> str | None:
        """The branch that got a commit, if one did."""
        if not self.ref.startswith(BRANCHES) or not self.after.strip("0"):
            return None
        return self.ref.removeprefix(BRANCHES)


class PushOutcome(StrEnum):
    """What became of a push that was told."""

    #: It is deployed, without another call.
    QUEUED = "QUEUED"
    REPEATED = "REPEATED"
    #: Nobody asked for a deployment of such a push.
    IGNORED = "IGNORED"


class PushTaken(Wire):
    """The answer to a push that was told."""

    delivery: str
    outcome: PushOutcome


class SetPushToDeploy(OfApp):
    """Body of `POST /api/fun-ai/app/push-to-deploy`; branches that are left out stay as they are."""

    enabled: bool
    branches: Branches | None = None


class PushView(Wire):
    """The newest push to one of the branches. `jobId` is the job that deploys it; `reason` is why there is none, and
    `nextAttemptAt` when it is tried again, null once that is settled."""

    branch: str
    commit: str
    received_at: AwareDatetime
    job_id: str | None = None
    reason: str | None = None
    next_attempt_at: AwareDatetime | None = None


class PushToDeployView(Wire):
    """Whether pushes to these branches of an app's repository are deployed, and what became of the newest one."""

    app_id: int
    enabled: bool
    branches: tuple[str, ...]
    last_push: PushView | None = None


def push_signature(secret: str, body: bytes) -> str:
    """The header's value."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def check_push_signature(secrets: Iterable[str], given: str, body: bytes) -> None:
    """Raises PushSignatureRefused unless it is by one of the secrets. Every comparison takes the same time."""
    if not _SIGNATURE.fullmatch(given):
        raise PushSignatureRefused("the signature must be the HMAC-SHA256 of the body in hex")
    if not any([hmac.compare_digest(push_signature(secret, body), given) for secret in secrets]):
        raise PushSignatureRefused("the signature is not by a secret that both sides know")
