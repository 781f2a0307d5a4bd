"""What looks like a credential, whoever's it is: tokens with their issuer's prefix, headers, addresses with a password.

The prefixes are those that issuers document so that tokens can be found in texts. A text is searched for the prefixes,
and only what stands there is looked at; nothing that is repeated is tried again, so that no text takes long.
"""

import re
from collections.abc import Iterator
from typing import Final

#: The longest beginning after which a credential is certainly recognised, in characters.
RECOGNISED_WITHIN: Final = 3072

_ISSUED: Final = {
    "gho_": r"gho_[A-Za-z0-9]{20,}+",  # GitHub
    "ghp_": r"ghp_[A-Za-z0-9]{20,}+",
    "ghs_": r"ghs_[A-Za-z0-9]{20,}+",
    "ghu_": r"ghu_[A-Za-z0-9]{20,}+",
    "ghr_": r"ghr_[A-Za-z0-9]{20,}+",
    "github_pat_": r"github_pat_[A-Za-z0-9_]{20,}+",
    "gl": r"gl(?:pat|ptt|dt|rt|cbt|soat|ft|agent)-[A-Za-z0-9_.-]{16,}+",  # GitLab
    "npm_": r"npm_[A-Za-z0-9]{30,}+",
    "AKIA": r"AKIA[A-Z0-9]{16}(?![A-Z0-9])",  # Amazon
    "ASIA": r"ASIA[A-Z0-9]{16}(?![A-Z0-9])",
    "AIza": r"AIza[A-Za-z0-9_-]{35}",  # Google
    "xox": r"xox[abeoprs]-[A-Za-z0-9-]{10,}+",  # Slack
    "sk_": r"sk_(?:live|test)_[A-Za-z0-9]{16,}+",  # Stripe
    "rk_": r"rk_(?:live|test)_[A-Za-z0-9]{16,}+",
    "sk-": r"sk-[A-Za-z0-9_-]{32,}+",
    "dckr_": r"dckr_[op]at_[A-Za-z0-9_-]{20,}+",  # Docker
    "pypi-": r"pypi-[A-Za-z0-9_-]{50,}+",
    "fuk_": r"fuk_[A-Za-z0-9_-]{40,}+",  # ours: API keys, refresh tokens
    "fur_": r"fur_[A-Za-z0-9_-]{40,}+",
    # A signed token (RFC 7519): two JSON objects in base64, and the signature as far as it has come.
    "eyJ": r"eyJ[A-Za-z0-9_-]{10,2000}+\.eyJ[A-Za-z0-9_-]{10,}+(?:\.[A-Za-z0-9_-]*+){0,3}",
}
#: A token begins where no word goes on; the end of a colour's sequence is none.
_BEGINNING: Final = r"(?:(?<![A-Za-z0-9_])|(?<=[0-9;\[]m))"
_TOKENS: Final = {prefix: re.compile(_BEGINNING + shape) for prefix, shape in _ISSUED.items()}
#: A password in an address; or on the web a token in a name's place. `git@host` has neither.
_ADDRESS: Final = re.compile(
    r"://[^\s/@:\"'<>]{0,128}+:(?P<password>[^\s/@\"'<>]{1,512}+)@"
    r"|(?:(?<=http)|(?<=https))://(?P<user>[^\s/@:\"'<>]{8,512}+)@"
)
_ASSIGNED: Final = r"[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?"
_NAMED: Final = re.compile(
    rf"authorization{_ASSIGNED}(?:(?:basic|bearer|digest|negotiate|token)[ \t]{{1,8}})?+(?P<header>[^\s\"',;]{{6,}}+)"
    rf"|(?:_authtoken|_auth|_password){_ASSIGNED}(?P<npmrc>[^\s\"',;]{{6,}}+)"
    rf"|aws_secret_access_key{_ASSIGNED}(?P<aws>[A-Za-z0-9/+]{{40}})",
    re.IGNORECASE,
)
_NAMES: Final = ("authorization", "_auth", "_password", "aws_secret_access_key")
_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\\[nr]|[A-Za-z0-9+/= \t])*+(?:-----END[A-Z0-9 ]{0,40}-----)?"
)


def spans(text: str) -> Iterator[tuple[int, int]]:
    """Where in a text of any number of lines credentials stand, in no order; of a header or an address its value."""
    for prefix, shape in _TOKENS.items():
        if prefix in text:
            yield from _at(prefix, shape, text)
    if "://" in text and "@" in text:
        yield from _at("://", _ADDRESS, text)
    lowered = text.lower()
    if any(name in lowered for name in _NAMES):
        yield from (match.span(match.lastgroup or 0) for match in _NAMED.finditer(text))
    if "PRIVATE KEY" in text:
        yield from (match.span() for match in _KEY.finditer(text))


def _at(prefix: str, shape: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    start = text.find(prefix)
    while start >= 0:
        match = shape.match(text, start)
        if match:
            yield match.span(match.lastgroup or 0)
        start = text.find(prefix, match.end() if match else start + len(prefix))
