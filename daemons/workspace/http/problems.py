"""How each error of the node is answered."""

from collections.abc import Mapping
from typing import Final

from daemons.kit.auth import AUTH_PROBLEMS
from daemons.kit.engine.errors import EngineError
from daemons.workspace.domain.places import NoPorts
from daemons.workspace.domain.projects import NotRunnable
from daemons.workspace.domain.workspaces import IllegalStep, MovedAway, StaleEpoch
from daemons.workspace.http.files_problems import FILE_PROBLEMS
from daemons.workspace.ports import HomeError, RecordError
from daemons.workspace.services.runlogs import NoLog
from daemons.workspace.services.runs import NoApp
from daemons.workspace.services.terminals import NoSession, TooManySessions
from protocol.errors import ErrorReason

PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    **AUTH_PROBLEMS,
    **FILE_PROBLEMS,
    EngineError: (502, ErrorReason.PEER_FAILED),
    HomeError: (503, ErrorReason.UNAVAILABLE),
    RecordError: (503, ErrorReason.UNAVAILABLE),
    NoPorts: (503, ErrorReason.UNAVAILABLE),
    NoApp: (404, ErrorReason.NOT_FOUND),
    NoLog: (404, ErrorReason.NOT_FOUND),
    NotRunnable: (400, ErrorReason.INVALID_REQUEST),
    NoSession: (404, ErrorReason.NOT_FOUND),
    TooManySessions: (409, ErrorReason.APP_LIMIT),
    IllegalStep: (409, ErrorReason.ILLEGAL_TRANSITION),
    StaleEpoch: (409, ErrorReason.STALE_FENCE),
    MovedAway: (409, ErrorReason.CHANGED),
}
