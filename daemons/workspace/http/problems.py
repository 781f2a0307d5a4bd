"""How each error of the node is answered."""

from collections.abc import Mapping
from typing import Final

from daemons.kit.auth import AUTH_PROBLEMS
from daemons.kit.engine.errors import EngineError
from daemons.kit.mongo.explorer import NoDatabaseServer
from daemons.kit.mongo.ports import AccountError
from daemons.kit.mongo.problems import MONGO_PROBLEMS
from daemons.kit.seats import NoSeat
from daemons.workspace.domain.copying import CopyRefused, SourceFailed
from daemons.workspace.domain.leavings import NothingExists, TooManyOrphans
from daemons.workspace.domain.moves import InTheWay, MoveOver
from daemons.workspace.domain.places import NoPorts
from daemons.workspace.domain.projects import NotRunnable
from daemons.workspace.domain.trying import NotCurl
from daemons.workspace.domain.workspaces import BeingMoved, IllegalStep, MovedAway, StaleEpoch
from daemons.workspace.http.files_problems import FILE_PROBLEMS
from daemons.workspace.http.git_problems import GIT_PROBLEMS
from daemons.workspace.ports import HomeError, RecordError
from daemons.workspace.services.databases import NoDatabase
from daemons.workspace.services.moves import NoFiles
from daemons.workspace.services.runlogs import NoLog
from daemons.workspace.services.runs import NoApp
from daemons.workspace.services.terminals import NoSession, TooManySessions
from daemons.workspace.services.trying import NoCurl
from protocol.errors import ErrorReason

PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    **AUTH_PROBLEMS,
    **MONGO_PROBLEMS,
    **FILE_PROBLEMS,
    **GIT_PROBLEMS,
    EngineError: (502, ErrorReason.PEER_FAILED),
    HomeError: (503, ErrorReason.UNAVAILABLE),
    RecordError: (503, ErrorReason.UNAVAILABLE),
    AccountError: (503, ErrorReason.UNAVAILABLE),
    NoDatabaseServer: (503, ErrorReason.UNAVAILABLE),
    NoDatabase: (404, ErrorReason.NOT_FOUND),
    NotCurl: (400, ErrorReason.INVALID_REQUEST),
    NoCurl: (503, ErrorReason.UNAVAILABLE),
    NothingExists: (400, ErrorReason.INVALID_REQUEST),
    TooManyOrphans: (409, ErrorReason.TOO_MANY_ORPHANS),
    NoPorts: (503, ErrorReason.UNAVAILABLE),
    NoApp: (404, ErrorReason.NOT_FOUND),
    NoLog: (404, ErrorReason.NOT_FOUND),
    NotRunnable: (400, ErrorReason.INVALID_REQUEST),
    NoSession: (404, ErrorReason.NOT_FOUND),
    NoSeat: (429, ErrorReason.RATE_LIMITED),
    TooManySessions: (409, ErrorReason.APP_LIMIT),
    IllegalStep: (409, ErrorReason.ILLEGAL_TRANSITION),
    StaleEpoch: (409, ErrorReason.STALE_FENCE),
    MovedAway: (409, ErrorReason.CHANGED),
    BeingMoved: (503, ErrorReason.UNAVAILABLE),
    NoFiles: (404, ErrorReason.NOT_FOUND),
    MoveOver: (409, ErrorReason.TOO_LATE),
    InTheWay: (409, ErrorReason.ALREADY_EXISTS),
    CopyRefused: (400, ErrorReason.INVALID_REQUEST),
    SourceFailed: (422, ErrorReason.INVALID_REQUEST),
}
