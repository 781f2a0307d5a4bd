"""What of a person's call reaches the workspace node, and what is checked of it before.

Everything that names a user, an app or an epoch is read here, once, in its decoded form, and the node gets what was
read, encoded anew: there is no second reader who could see another user in the same request. Whatever is written in
a second way (twice, under another spelling, with an encoded path) is refused, not interpreted.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from daemons.api.domain.access import Subject, check_named

PREFIX: Final = "/api/fun-ai/workspace"
#: A JSON document may have so many bytes: 2 MiB of text at their longest.
MOST_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)+")
_MOST_PARAMETERS: Final = 64
#: Whom a call is for, and since when the user is where it goes: the node gets what the API says.
FILLED: Final = ("userId", "epoch")
_NAMES: Final = (*FILLED, "appId")
_SPELLED: Final = {name.casefold(): name for name in _NAMES}
_INTERNAL: Final = "internal"
_FILES_AS_BODIES: Final = ("/files/upload-file", "/files/upload-zip", "/files/uploads/")
_DOCUMENTS: Final = ("application/json", "text/plain", "application/x-www-form-urlencoded", "application/octet-stream")
#: These begin a run, of which a node carries only so many.
_RUNS: Final = frozenset({"/run/start", "/run/preview", "/run/build", "/run/install"})
#: The first calls of a user: what they ask for is made on a node, so the user needs one.
_MAKING: Final = _RUNS | frozenset(
    {
        "/container/ensure",
        "/files/ensure-dir",
        "/files/content",
        "/files/mkdir",
        "/files/upload-file",
        "/files/upload-zip",
        "/files/uploads",
        "/git/ensure",
    }
)
_TERMINALS: Final = ("/terminal", "/ws/terminal")
#: A container may be pulled, made and started before the answer begins.
_MAKING_SECONDS: Final = 330.0
_LOOKING_SECONDS: Final = 130.0

#: Of a request only these headers go on; none of them proves who somebody is. Bodies are unpacked by now.
PASSED: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "content-disposition",
        "content-language",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "last-event-id",
        "origin",
        "range",
        "tus-resumable",
        "upload-checksum",
        "upload-defer-length",
        "upload-length",
        "upload-metadata",
        "upload-offset",
        "user-agent",
        "x-request-id",
    }
)
_KEPT_BACK: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "date",
        "server",
        "set-cookie",
        "set-cookie2",
        "www-authenticate",
        "x-content-type-options",
    }
)
_OF_LOGS: Final = "x-ws-log-version"


class NotForwarded(Exception):
    """There is no such call for people."""


class Ambiguous(Exception):
    """The request says something twice, or in a way that two readers could read differently; `fields` names it."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.data = {"fields": [field]}


class Carriage(Enum):
    """How a body travels: read and checked here, or passed on as it comes and proven at its end. Nodes take the second
    kind as files alone, never as orders."""

    NONE = auto()
    DOCUMENT = auto()
    STREAM = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """A person's call: the path below the prefix, and what the query says of it without user and epoch."""

    method: str
    path: str
    parameters: Mapping[str, str]
    upgrades: bool = False

    @property
    def makes(self) -> bool:
        """Whether a user without a node gets one by it."""
        if self.path in _TERMINALS:
            return self.upgrades
        return self.method == "POST" and self.path in _MAKING

    @property
    def runs(self) -> bool:
        """Whether it begins a run."""
        return self.method == "POST" and self.path in _RUNS

    @property
    def patience(self) -> float:
        """Seconds that the node may take to begin its answer."""
        looks = self.method in ("GET", "HEAD", "OPTIONS") and not self.makes
        return _LOOKING_SECONDS if looks else _MAKING_SECONDS

    def query(self, user_id: int, epoch: int) -> str:
        """The query as the node gets it."""
        told = {**self.parameters, "userId": str(user_id), "epoch": str(epoch)}
        return urlencode(told, quote_via=quote, safe="")


def call_of(method: str, target: str, subject: Subject, *, upgrades: bool = False) -> Call:
    """The call of a request line. Raises NotForwarded, Ambiguous, WrongUser."""
    path, _, query = target.partition("?")
    below = path.removeprefix(PREFIX)
    if below == path or not _PLAIN.fullmatch(below) or below.casefold().split("/")[1] == _INTERNAL:
        raise NotForwarded("there is no such call of workspaces")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Ambiguous(f"must be UTF-8 with at most {_MOST_PARAMETERS} parameters", "query") from None
    parameters = _once(pairs)
    _check_names(parameters)
    check_named(subject, parameters.pop("userId", None))
    parameters.pop("epoch", None)
    return Call(method, below, parameters, upgrades)


def carriage(call: Call, content_type: str, *, has_body: bool) -> Carriage:
    """How the call's body travels."""
    if not has_body:
        return Carriage.NONE
    if any(call.path.startswith(path) for path in _FILES_AS_BODIES):
        return Carriage.STREAM
    document = content_type in _DOCUMENTS or content_type.endswith("+json")
    return Carriage.DOCUMENT if document else Carriage.STREAM


def checked_document(body: bytes, call: Call, subject: Subject) -> tuple[bytes, str | None]:
    """The document as the node gets it, with the user in it, and the app that it names. Raises Ambiguous, WrongUser."""
    if not body.strip():
        return b"", None
    try:
        text = body.decode("utf-8")
        document = json.loads(text, object_pairs_hook=_once)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise Ambiguous("must be a JSON document in UTF-8", "body") from None
    if not isinstance(document, dict):
        raise Ambiguous("must be a JSON object", "body")
    _check_names(document)
    named = document.get("userId")
    check_named(subject, None if named is None else _said(named, "userId"))
    app_id = _said(document["appId"], "appId") if document.get("appId") is not None else None
    if app_id is not None and call.parameters.get("appId", app_id) != app_id:
        raise Ambiguous("query and body name different ones", "appId")
    # Null says as little as nothing does: clients write out what they leave open.
    if document.get("epoch") is not None:
        raise Ambiguous("is not a caller's to say", "epoch")
    if "userId" not in document:
        rest = text.lstrip()[1:].lstrip()
        text = f'{{"userId":"{subject.user_id}"{"" if rest.startswith("}") else ","}{rest}'
    return text.encode(), app_id


def forwarded_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What of a request's headers goes on; of those that stand there twice, the first."""
    kept: dict[str, str] = {}
    for name, value in headers:
        if name.lower() in PASSED:
            kept.setdefault(name.title(), value)
    return kept


def returned_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What of an answer's headers goes back."""
    return [(name, value) for name, value in headers if _returned(name.lower())]


def _returned(name: str) -> bool:
    if name in _KEPT_BACK:
        return False
    return name == _OF_LOGS or not name.startswith(("x-ws-", "access-control-"))


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        _check_text(name, "body")
        if name in found:
            raise Ambiguous("must be given once", name[:64])
        found[name] = value
    return found


def _check_names(found: Mapping[str, Any]) -> None:
    """Another spelling of a name that counts is refused: a lenient reader could take it for the name."""
    for name in found:
        wanted = _SPELLED.get(re.sub(r"[^0-9a-z]", "", name.casefold()))
        if wanted is not None and name != wanted:
            raise Ambiguous(f"is spelled {wanted}", name[:64])


def _said(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Ambiguous("must be text or a whole number", name)
    _check_text(str(value), name)
    return str(value)


def _check_text(text: str, name: str) -> None:
    """JSON can name half of a character, which no answer can tell."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Ambiguous("must be text in Unicode", name) from None
