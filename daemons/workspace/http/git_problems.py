"""How errors of git are answered; what has a result word of its own is answered with that."""

from collections.abc import Mapping
from typing import Final

from daemons.workspace.ports.git import KeysUnavailable, TooSlow
from daemons.workspace.services.git import GitBusy, NoRepository
from daemons.workspace.services.git_conflicts import NoConflict
from daemons.workspace.services.git_work import GitFailed, NoGit
from protocol.errors import ErrorReason

GIT_PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    NoRepository: (404, ErrorReason.NOT_FOUND),
    NoConflict: (409, ErrorReason.CHANGED),
    GitBusy: (409, ErrorReason.APP_BUSY),
    GitFailed: (409, ErrorReason.ILLEGAL_TRANSITION),
    NoGit: (409, ErrorReason.UNAVAILABLE),
    KeysUnavailable: (503, ErrorReason.UNAVAILABLE),
    TooSlow: (504, ErrorReason.PEER_FAILED),
}
