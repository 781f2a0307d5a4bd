"""Zips as users and attackers make them."""

import io
import struct
import zipfile
from collections.abc import Mapping

LINK = 0o120777 << 16


def zipped(files: Mapping[str, bytes | str], *, modes: Mapping[str, int] | None = None) -> bytes:
    """An archive with these files; `modes` are external attributes by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (modes or {}).get(name, 0o100644 << 16)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


def renamed(archive: bytes, name: str, new_name: bytes) -> bytes:
    """The archive with a name replaced by one of the same length, also one that no archiver writes."""
    assert len(name.encode()) == len(new_name)
    return archive.replace(name.encode(), new_name)


def encrypted(archive: bytes) -> bytes:
    """The archive with the flag of encryption at its first entry."""
    return _flagged(archive, 0x1)


def overlapping(size: int, count: int) -> bytes:
    """Many entries that share one piece of packed data: small to send, large when each is unpacked."""
    whole = zipped({"a": bytes(size)})
    at = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    entry = whole[at:end]
    directory = b"".join(entry for _ in range(count))
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), at, 0)
    return whole[:at] + directory + tail


def wide(count: int) -> bytes:
    """A directory of so many entries without data."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    directory = entry * count
    claimed = min(count, 0xFFFE)
    return directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, claimed, claimed, len(directory), 0, 0)


def _flagged(archive: bytes, flag: int) -> bytes:
    data = bytearray(archive)
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    data[local + 6] |= flag
    data[central + 8] |= flag
    return bytes(data)
