"""How each error of the node is answered."""

from collections.abc import Mapping
from typing import Final

from daemons.kit.auth import AUTH_PROBLEMS
from daemons.kit.engine.errors import EngineError
from daemons.workspace.ports import HomeError
from protocol.errors import ErrorReason

PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    **AUTH_PROBLEMS,
    EngineError: (502, ErrorReason.PEER_FAILED),
    HomeError: (503, ErrorReason.UNAVAILABLE),
}
