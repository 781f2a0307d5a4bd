"""Which answer each refusal and failure is."""

from typing import Final

from daemons.agent.domain.apps import FenceRequired, ForeignApp, StaleFence
from daemons.agent.domain.images import RegistryRefused
from daemons.agent.ports import NoRoom, StateError
from daemons.agent.services.apps import StopFailed, UnknownApp
from daemons.agent.services.holds import AppBusy, Superseded
from daemons.agent.services.ledger import Recovering
from daemons.agent.services.rollout import ConfirmationUnavailable, DeployFailed, NotConfirmed, TooMuch
from daemons.agent.services.shells import NotRunning
from daemons.kit.auth import AUTH_PROBLEMS
from daemons.kit.engine.errors import EngineError
from daemons.kit.mongo.explorer import NoDatabaseServer
from daemons.kit.mongo.ports import AccountError
from daemons.kit.mongo.problems import MONGO_PROBLEMS
from daemons.kit.problems import Problems
from daemons.kit.seats import NoSeat
from protocol.errors import ErrorReason

PROBLEMS: Final[Problems] = {
    **AUTH_PROBLEMS,
    **MONGO_PROBLEMS,
    FenceRequired: (400, ErrorReason.INVALID_REQUEST),
    StaleFence: (409, ErrorReason.STALE_FENCE),
    NotConfirmed: (409, ErrorReason.STALE_FENCE),
    AppBusy: (409, ErrorReason.APP_BUSY),
    Superseded: (409, ErrorReason.STALE_FENCE),
    RegistryRefused: (403, ErrorReason.FORBIDDEN),
    NoRoom: (409, ErrorReason.NODE_FULL),
    NotRunning: (409, ErrorReason.NOT_RUNNING),
    NoSeat: (429, ErrorReason.RATE_LIMITED),
    ForeignApp: (409, ErrorReason.ALREADY_EXISTS),
    UnknownApp: (404, ErrorReason.NOT_FOUND),
    TooMuch: (400, ErrorReason.INVALID_REQUEST),
    DeployFailed: (500, ErrorReason.DEPLOY_FAILED),
    StopFailed: (500, ErrorReason.DEPLOY_FAILED),
    EngineError: (500, ErrorReason.PEER_FAILED),
    StateError: (500, ErrorReason.INTERNAL),
    AccountError: (500, ErrorReason.INTERNAL),
    ConfirmationUnavailable: (503, ErrorReason.PEER_FAILED),
    Recovering: (503, ErrorReason.UNAVAILABLE),
    NoDatabaseServer: (503, ErrorReason.UNAVAILABLE),
}
