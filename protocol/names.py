"""Names, ids and references as they are allowed on the wire, each as one validated type.

Every one of them ends up in a URL path, a container name, a command line or a proxy's configuration somewhere, so the
alphabet is a short allowlist and the check stands at the edge. Ids arrive as numbers or strings and are strings inside.
Grammar of image references: the OCI distribution specification (`reference` of distribution/distribution).
Grammar of git references: `git check-ref-format`, less the characters a shell or an option parser could misread.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

_APP_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_USER_ID = re.compile(r"[1-9][0-9]{0,18}")
_INSTANCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_GIT_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_SSH_PORT = 22
_REPO_URL = re.compile(
    rf"ssh://[a-z_][a-z0-9_-]{{0,31}}@(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?(?:/{_SEGMENT}){{1,6}}"
)
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?P<registry>(?:localhost|{_HOST}\.[A-Za-z0-9]+|{_HOST}(?=:))(?::[0-9]{{1,5}})?)/)?"
    rf"(?P<path>{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_REPOSITORY_PATH = re.compile(r"(?!-)[A-Za-z0-9._@+~-]+(?:/(?!-)[A-Za-z0-9._@+~-]+)*")
_HTTP_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,199}")
_REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COLLECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?")


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, slots=True)
class _Matching:
    """Refuses what is not wholly of the pattern, which contracts show."""

    pattern: re.Pattern[str]
    rule: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        return {**shown, "pattern": f"^(?:{self.pattern.pattern})$"} if shown.get("type") == "string" else shown

    def _check(self, value: str) -> str:
        if not self.pattern.fullmatch(value):
            raise ValueError(self.rule)
        return value


def _once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _git_ref(value: str) -> str:
    parts = value.split("/")
    if (
        not _GIT_REF.fullmatch(value)
        or ".." in value
        or any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    ):
        raise ValueError("must be a branch, tag or commit: letters, digits, '.', '_', '/', '-', not starting with '-'")
    return value


def _repo_url(value: str) -> str:
    found = _REPO_URL.fullmatch(value)
    port = int(found["port"] or _SSH_PORT) if found else 0
    if not 1 <= port <= 65535 or len(value) > 512:
        raise ValueError("must be ssh://git@host[:port]/owner/repository.git")
    return value


def _repository_path(value: str) -> str:
    parts = value.split("/")
    if len(value) > 255 or not _REPOSITORY_PATH.fullmatch(value) or ".." in parts or parts[0].lower() == ".git":
        raise ValueError(
            "must be a path within the repository: letters, digits, '.', '_', '-', '@', '+', '~' between '/', "
            "not absolute, without '..'"
        )
    return value


def _image(value: str) -> str:
    if len(value) > 255 or not _IMAGE.fullmatch(value):
        raise ValueError("must be an image reference: [registry/]repository[:tag][@sha256:digest], lower case")
    return value


def _http_path(value: str) -> str:
    if not _HTTP_PATH.fullmatch(value) or "//" in value or any(part in (".", "..") for part in value.split("/")):
        raise ValueError("must be an absolute URL path of letters, digits, '.', '_', '~', '-' without '..'")
    return value


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    printable = value.isascii() and value.isprintable() and not set(value) & set(" \"'`<>{}|\\^?#@")
    if not valid or not printable or len(value) > 512:
        raise ValueError("must be http(s)://host[:port] without user, query or fragment")
    return value.rstrip("/")


def _port(value: int) -> int:
    if not 1 <= value <= 65535:
        raise ValueError("must be a port from 1 to 65535")
    return value


_AppText = Annotated[
    str, _Matching(_APP_ID, "must be 1 to 40 lower-case letters, digits or '-', with a letter or digit at both ends")
]
#: Of a slug: lower-case letters and digits, single hyphens between them.
SLUG_RULE = r"(?=.{3,40}$)[a-z0-9]+(?:-[a-z0-9]+)*"
#: One, or an empty text that gives up what there was.
AppSlug = Annotated[
    str,
    _Matching(
        re.compile(f"(?:{SLUG_RULE})?"), "must be 3 to 40 lower-case letters and digits, with single '-' between them"
    ),
]
_UserText = Annotated[str, _Matching(_USER_ID, "must be a positive whole number of at most 19 digits")]
AppId = Annotated[_AppText, BeforeValidator(_number_as_text, json_schema_input_type=_AppText | int)]
UserId = Annotated[_UserText, BeforeValidator(_number_as_text, json_schema_input_type=_UserText | int)]
NodeName = Annotated[str, _Matching(_NAME, "must be 1 to 128 letters, digits, '.', '_' or '-'")]
RunnerId = Annotated[str, _Matching(_NAME, "must be 1 to 128 letters, digits, '.', '_' or '-'")]
#: One process: chosen anew at each start.
InstanceId = Annotated[str, _Matching(_INSTANCE, "must be 8 to 64 letters, digits, '_' or '-'")]
Label = Annotated[
    str, _Matching(_LABEL, "must be 1 to 32 lower-case letters, digits, '.', '_' or '-', not '.', '_' or '-' at an end")
]
#: What a runner offers or a job requires; each once, in the order of the alphabet.
Labels = Annotated[tuple[Label, ...], Field(max_length=16), AfterValidator(_once_each)]
GitRef = Annotated[str, AfterValidator(_git_ref)]
#: Relative to the root of the repository; "." is the root itself.
RepositoryPath = Annotated[str, AfterValidator(_repository_path)]
RepoUrl = Annotated[str, AfterValidator(_repo_url)]
ImageRef = Annotated[str, AfterValidator(_image)]
ImageTag = Annotated[str, _Matching(_TAG, "must be an image tag of at most 128 letters, digits, '.', '_' or '-'")]
ImageDigest = Annotated[str, _Matching(_DIGEST, "must be sha256: and 64 hexadecimal digits")]
RegistryHost = Annotated[str, _Matching(_REGISTRY, "must be a registry's host[:port]")]
GitHost = Annotated[str, _Matching(_REGISTRY, "must be a git host: host or host:port")]
Namespace = Annotated[str, _Matching(re.compile(_PATH_PART), "must be a registry project in lower case")]
CollectionName = Annotated[
    str, _Matching(_COLLECTION, "must be 1 to 120 letters, digits, '_', '.' or '-', starting with a letter or digit")
]
HttpPath = Annotated[str, AfterValidator(_http_path)]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
ReleaseNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]
Port = Annotated[int, AfterValidator(_port)]
ShortText = Annotated[str, StringConstraints(max_length=256)]
LongText = Annotated[str, StringConstraints(max_length=262_144)]


def is_git_host(url: str, allowed: Collection[str]) -> bool:
    """Whether a list of `host` (the SSH port) and `host:port` has the host of a repository's address."""
    host, port = git_host(url)
    names = {f"{host}:{port}", *((host,) if port == _SSH_PORT else ())}
    return any(each.lower() in names for each in allowed)


def git_host(url: str) -> tuple[str, int]:
    """Host, in lower case, and SSH port of a repository's address, which is a valid one."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _SSH_PORT


def image_registry(reference: str) -> str | None:
    """The registry host of an image reference, or None when it names none (a local image)."""
    found = _IMAGE.fullmatch(reference)
    return found["registry"] if found else None


def public_path(app_id: str) -> str:
    """The canonical public path of an app, without a trailing slash (`/apps/{appId}` is an alias at the gateway)."""
    return f"/runtime/{app_id}"


def own_base_path(path: str | None, app_id: str | None) -> str | None:
    """The path itself when it is one an app may ask for: its canonical path or alias, with or without a trailing slash.

    Raises ValueError for any other: a path of the user's choice could take over another app's route.
    `app_id` is None when the id itself was already refused; then there is nothing to compare with.
    """
    if path and app_id is not None and path.rstrip("/") not in (public_path(app_id), f"/apps/{app_id}"):
        raise ValueError(f"must be {public_path(app_id)} or /apps/{app_id}")
    return path
