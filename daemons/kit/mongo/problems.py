"""Which answer each refusal and failure of an explorer is, in every daemon that has one or asks one."""

from collections.abc import Mapping
from typing import Final

from daemons.kit.mongo.documents import BadDocument, SystemCollection
from daemons.kit.mongo.ports import DatabaseError, QueryRefused
from protocol.errors import ErrorReason

#: To be merged into a daemon's problem table.
MONGO_PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    BadDocument: (400, ErrorReason.INVALID_REQUEST),
    SystemCollection: (403, ErrorReason.FORBIDDEN),
    QueryRefused: (422, ErrorReason.INVALID_REQUEST),
    DatabaseError: (503, ErrorReason.PEER_FAILED),
}
