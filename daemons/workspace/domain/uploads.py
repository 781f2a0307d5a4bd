"""Uploads that come in several requests, with pauses and restarts between them.

What counts of an upload is what was proven and is on the disk: `offset`. Bytes beyond it are of a request that broke
off, and are written again. Protocol: tus 1.0.0 with creation, checksum, expiration and termination.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from typing import Final

KEPT_MS: Final = 24 * 3600 * 1000
#: Of one user at a time; each takes room on the user's disk.
MOST_UPLOADS: Final = 16
#: SHA-1 is what the protocol demands; it protects from accidents, the request's signature from more.
ALGORITHMS: Final = ("sha1", "sha256")


class NoUpload(Exception):
    """The user has no such upload; it never was, or it ended or expired."""


class UploadRefused(Exception):
    """An upload that may not begin."""


class UploadBusy(Exception):
    """Another request is adding to the upload."""


class WrongOffset(Exception):
    """The caller would add elsewhere than at the end; `data` says where that is."""

    def __init__(self, offset: int) -> None:
        super().__init__("the upload goes on at another offset")
        self.data = {"offset": offset}


class ChecksumMismatch(Exception):
    """The bytes that came are not those that were sent; none of them counts."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload. Times are milliseconds since 1970; `path` is relative to the app."""

    id: str
    user_id: str
    app_id: str
    path: str
    length: int
    offset: int
    overwrite: bool
    parents: bool
    expires_ms: int

    @property
    def complete(self) -> bool:
        """Whether all of it is there."""
        return self.offset == self.length

    def advanced(self, count: int, now_ms: int) -> "Upload":
        """With so many bytes more. It is kept for another day."""
        return replace(self, offset=self.offset + count, expires_ms=now_ms + KEPT_MS)


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of a request must come to."""

    algorithm: str
    digest: bytes

    @classmethod
    def of(cls, header: str) -> "Checksum":
        """The header Upload-Checksum: an algorithm, a space and Base64. Raises ValueError."""
        algorithm, _, encoded = header.strip().partition(" ")
        if algorithm not in ALGORITHMS:
            raise ValueError(f"must begin with one of {', '.join(ALGORITHMS)}")
        try:
            digest = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            raise ValueError("must end with Base64") from None
        return cls(algorithm, digest)


class Summing:
    """Sums up what comes, and says at its end whether it is what was announced."""

    def __init__(self, wanted: Checksum | None) -> None:
        self._wanted = wanted
        self._sum = hashlib.new(wanted.algorithm, usedforsecurity=False) if wanted else None

    def add(self, piece: bytes) -> None:
        """The next bytes."""
        if self._sum is not None:
            self._sum.update(piece)

    def check(self) -> None:
        """Raises ChecksumMismatch."""
        if self._sum is not None and self._wanted is not None and self._sum.digest() != self._wanted.digest:
            raise ChecksumMismatch("the bytes do not come to the checksum that was sent with them")
