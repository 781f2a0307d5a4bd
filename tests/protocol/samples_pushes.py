"""A sample of every wire model of pushes."""

from datetime import UTC, datetime
from typing import Final

from protocol.base import Wire
from protocol.pushes import (
    GitPush,
    PushedRepository,
    PushOutcome,
    PushTaken,
    PushToDeployView,
    PushView,
    SetPushToDeploy,
)

_MOMENT: Final = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
_COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
_PUSH: Final = PushView(
    branch="main",
    commit=_COMMIT,
    received_at=_MOMENT,
    reason="the deploy control plane cannot be asked now",
    next_attempt_at=_MOMENT,
)

PUSH_SAMPLES: Final[tuple[Wire, ...]] = (
    PushedRepository(full_name="funai/u1-app20001"),
    GitPush(
        ref="refs/heads/main",
        before="0" * 40,
        after=_COMMIT,
        repository=PushedRepository(full_name="funai/u1-app20001"),
    ),
    PushTaken(delivery="6f1c2b9e-0000-4000-8000-000000000001", outcome=PushOutcome.QUEUED),
    SetPushToDeploy(app_id="20001", enabled=True, branches=("main", "release/1")),
    _PUSH,
    PushToDeployView(app_id=20001, enabled=True, branches=("main",), last_push=_PUSH),
)
