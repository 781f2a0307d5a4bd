"""SSH public keys as text: checked to the last byte, because the git server trusts what is stored.

Format: RFC 4253 section 6.6, RFC 5656 (ECDSA), RFC 8709 (Ed25519) and OpenSSH's PROTOCOL.u2f (security keys).
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 16384
_CURVES: Final = {"nistp256": 65, "nistp384": 97, "nistp521": 133}


class InvalidPublicKey(Exception):
    """The text is not a public key this server takes."""

    data: Final = {"fields": ["publicKey"]}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key: `text` is its type and base64 without a comment, `fingerprint` is `SHA256:...`."""

    text: str
    fingerprint: str


def parse(line: str) -> PublicKey:
    """The key on one line of a `.pub` file, any comment dropped. Raises InvalidPublicKey."""
    words = line.strip().split(None, 2)
    if "PRIVATE KEY" in line:
        raise InvalidPublicKey("publicKey: this is a private key; send the .pub file, and replace the key")
    if len(words) < 2 or "\n" in line.strip() or "\r" in line.strip():
        raise InvalidPublicKey("publicKey: must be one line: type, base64 and an optional comment")
    kind, encoded = words[0], words[1]
    try:
        blob = base64.b64decode(encoded, validate=True)
        fields = _fields(blob)
    except (binascii.Error, ValueError):
        raise InvalidPublicKey("publicKey: the base64 part is damaged; copy the whole line") from None
    if not fields or fields[0] != kind.encode("ascii", "replace") or not _well_formed(kind, fields):
        raise InvalidPublicKey(
            "publicKey: must be ssh-ed25519, ecdsa-sha2-nistp*, sk-* or ssh-rsa of 2048 bits or more"
        )
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return PublicKey(f"{kind} {base64.b64encode(blob).decode()}", f"SHA256:{digest}")


def _fields(blob: bytes) -> list[bytes]:
    """The length-prefixed strings of a key blob. Raises ValueError unless they fill it exactly."""
    fields, place = [], 0
    while place < len(blob):
        length = int.from_bytes(blob[place : place + 4])
        field = blob[place + 4 : place + 4 + length]
        if len(blob) - place < 4 or len(field) != length:
            raise ValueError("truncated")
        fields.append(field)
        place += 4 + length
    return fields


def _well_formed(kind: str, fields: list[bytes]) -> bool:
    match kind:
        case "ssh-ed25519":
            return len(fields) == 2 and len(fields[1]) == 32
        case "sk-ssh-ed25519@openssh.com":
            return len(fields) == 3 and len(fields[1]) == 32
        case "ssh-rsa":
            bits = int.from_bytes(fields[2]).bit_length() if len(fields) == 3 else 0
            return _LEAST_RSA_BITS <= bits <= _MOST_RSA_BITS
        case _:
            return _elliptic(kind, fields)


def _elliptic(kind: str, fields: list[bytes]) -> bool:
    for curve, length in _CURVES.items():
        if kind == f"ecdsa-sha2-{curve}":
            return len(fields) == 3 and fields[1] == curve.encode() and len(fields[2]) == length
    security_key = kind == "sk-ecdsa-sha2-nistp256@openssh.com"
    return security_key and len(fields) == 4 and fields[1] == b"nistp256" and len(fields[2]) == _CURVES["nistp256"]
