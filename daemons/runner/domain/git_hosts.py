"""Which git hosts are spoken to at all.

ssh itself refuses a host whose key it does not know, but only once it is connected. The runner asks first, so that a
job can make it connect to nothing but known git hosts. Format of the known-hosts file: sshd(8), SSH_KNOWN_HOSTS FILE
FORMAT.
"""

import base64
import binascii
import fnmatch
import hashlib
import hmac
from typing import Final

_SSH_PORT: Final = 22
_REVOKED: Final = "@revoked"


def is_known(host: str, port: int, known_hosts: str) -> bool:
    """Whether the text of a known-hosts file has a key for the host."""
    name = host if port == _SSH_PORT else f"[{host}]:{port}"
    return any(_line_names(line.split(), name) for line in known_hosts.splitlines())


def _line_names(words: list[str], name: str) -> bool:
    if not words or words[0].startswith("#") or words[0] == _REVOKED:
        return False
    patterns = words[1] if words[0].startswith("@") and len(words) > 1 else words[0]
    if patterns.startswith("|1|"):
        return _is_hash_of(patterns, name)
    found = False
    for pattern in patterns.lower().split(","):
        # Brackets are literal here, not a set of characters.
        literal = pattern.removeprefix("!").replace("[", "[[]")
        if fnmatch.fnmatchcase(name, literal):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _is_hash_of(text: str, name: str) -> bool:
    try:
        salt, hashed = (base64.b64decode(part, validate=True) for part in text.split("|")[2:4])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.digest(salt, name.encode(), hashlib.sha1), hashed)
