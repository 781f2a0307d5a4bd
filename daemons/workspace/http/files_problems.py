"""How errors of files are answered."""

from collections.abc import Mapping
from typing import Final

from daemons.workspace.domain.archive import ArchiveRefused
from daemons.workspace.domain.changes import TooManyWatchers
from daemons.workspace.domain.files import (
    Changed,
    Denied,
    DiskFull,
    NotText,
    NotThere,
    TagChanged,
    Taken,
    TooLarge,
    WrongKind,
)
from daemons.workspace.domain.uploads import ChecksumMismatch, NoUpload, UploadBusy, UploadRefused, WrongOffset
from protocol.errors import ErrorReason

FILE_PROBLEMS: Final[Mapping[type[Exception], tuple[int, ErrorReason]]] = {
    NotThere: (404, ErrorReason.NOT_FOUND),
    WrongKind: (400, ErrorReason.INVALID_REQUEST),
    NotText: (400, ErrorReason.INVALID_REQUEST),
    ArchiveRefused: (400, ErrorReason.INVALID_REQUEST),
    Denied: (403, ErrorReason.FORBIDDEN),
    Taken: (409, ErrorReason.ALREADY_EXISTS),
    Changed: (409, ErrorReason.CHANGED),
    TagChanged: (412, ErrorReason.CHANGED),
    TooLarge: (413, ErrorReason.PAYLOAD_TOO_LARGE),
    TooManyWatchers: (503, ErrorReason.UNAVAILABLE),
    NoUpload: (404, ErrorReason.NOT_FOUND),
    UploadRefused: (409, ErrorReason.APP_LIMIT),
    UploadBusy: (409, ErrorReason.APP_BUSY),
    WrongOffset: (409, ErrorReason.CHANGED),
    # The protocol's own status for it.
    ChecksumMismatch: (460, ErrorReason.INVALID_REQUEST),
    DiskFull: (507, ErrorReason.DISK_FULL),
}
