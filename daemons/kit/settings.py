"""Settings of a daemon: environment variables, over an optional TOML file, read once at start.

A documented property such as `deploy.admin.token` is the variable `DEPLOY_ADMIN_TOKEN` or, in the file that
`FUNAI_CONFIG` names,
the key `token` of the table `[deploy.admin]`. Tokens are comma-separated lists, so that two are live while one is
replaced by the other. Error messages name variables and never values.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

_SIZE: Final = re.compile(r"([0-9]+)([bkmg]?)b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_PLACEHOLDER: Final = "changeme"
_LEAST_TOKEN_CHARACTERS: Final = 16
_MISSING: Final = "is not set; set it to a secret of at least 16 characters or to the documented value"

Network = IPv4Network | IPv6Network


class Misconfigured(Exception):
    """The daemon must not start like this; the message says what to set."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _tokens(value: object) -> object:
    parts = _split(value)
    if not isinstance(parts, tuple | list) or not parts:
        raise ValueError("must be set to a secret of at least 16 characters")
    for part in parts:
        _require_secret(part.get_secret_value() if isinstance(part, SecretStr) else str(part))
    return tuple(parts)


def _require_secret(text: str) -> None:
    if _is_placeholder(text):
        raise ValueError("still holds a placeholder; set a secret of your own of at least 16 characters")
    if len(text) < _LEAST_TOKEN_CHARACTERS or not text.isascii() or not text.isprintable():
        raise ValueError("must be a secret of at least 16 printable ASCII characters")


def _password(value: SecretStr) -> SecretStr:
    if _is_placeholder(value.get_secret_value()):
        raise ValueError("still holds a placeholder; set the account's own password")
    return value


def _is_placeholder(text: str) -> bool:
    return "".join(filter(str.isalpha, text.casefold())).startswith(_PLACEHOLDER)


def _optional_token(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        _require_secret(value.get_secret_value())
    return value


def _optional_tokens(value: object) -> object:
    return _tokens(value) if _split(value) else ()


def _networks(value: object) -> object:
    parts = _split(value)
    if not isinstance(parts, tuple | list):
        raise ValueError("must be a comma-separated list of addresses or CIDR networks")
    try:
        return tuple(ip_network(str(part)) for part in parts)
    except ValueError:
        raise ValueError("must be a comma-separated list of addresses or CIDR networks") from None


def size(value: object) -> object:
    """Sizes as Docker writes them: 512m, 1g, or plain bytes."""
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip())
    if not found:
        raise ValueError("must be a size such as 512m or 1g")
    return int(found[1]) * _UNITS[found[2].lower()]


#: One or two live tokens of a role; refuses placeholders, empty and short values.
Tokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_tokens)]
#: The same for a role that may be switched off: empty is allowed; `require` refuses it while the role is on.
OptionalTokens = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_optional_tokens)]
#: The one token that a client sends, or empty.
OptionalToken = Annotated[SecretStr, AfterValidator(_optional_token)]
#: A password that others chose, or empty; refuses placeholders.
Password = Annotated[SecretStr, AfterValidator(_password)]
#: A comma-separated list of addresses and CIDR networks.
Networks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]
#: A comma-separated list of plain words.
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def revealed(tokens: tuple[SecretStr, ...]) -> tuple[str, ...]:
    """The tokens as text, for a gate or a client."""
    return tuple(token.get_secret_value() for token in tokens)


class Settings(BaseSettings):
    """Base of every daemon's settings. Fields name their variable as `alias`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, hide_input_in_errors=True, case_sensitive=True
    )

    service: ClassVar[str] = "daemon"

    log_format: Literal["json", "console"] = Field("console", alias="FUNAI_LOG_FORMAT")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="FUNAI_LOG_LEVEL")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments over environment over file."""
        return init_settings, env_settings, _TomlFile(settings_cls)

    def secret_values(self) -> tuple[str, ...]:
        """Every secret in these settings, for the log redactor."""
        return tuple(_secrets(self.__dict__.values()))

    def require(self, **roles: tuple[SecretStr, ...]) -> None:
        """Raises Misconfigured that names every variable whose tokens are missing."""
        lines = [f"  {name} {_MISSING}" for name, tokens in roles.items() if not tokens]
        if lines:
            raise Misconfigured(f"{self.service} cannot start:\n" + "\n".join(lines))

    def distinct(self, **roles: tuple[SecretStr, ...]) -> None:
        """Raises Misconfigured when two roles share a token: a leak of one would be a leak of both."""
        seen: dict[str, str] = {}
        for role, tokens in roles.items():
            for token in revealed(tokens):
                other = seen.setdefault(token, role)
                if other != role:
                    raise Misconfigured(f"{other} and {role} hold the same token; give each role a secret of its own")


class _TomlFile(PydanticBaseSettingsSource):
    """The TOML file named by FUNAI_CONFIG, its tables flattened to variable names."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        name = os.environ.get("FUNAI_CONFIG")
        if not name:
            return {}
        try:
            document = tomllib.loads(Path(name).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise Misconfigured(f"FUNAI_CONFIG names {name}, which cannot be read: {error}") from None
        known = {name for field in self.settings_cls.model_fields.values() for name in _names(field)}
        return {key: value for key, value in _flat(document, "") if key in known}


def _names(field: FieldInfo) -> Iterator[object]:
    if isinstance(field.validation_alias, AliasChoices):
        yield from field.validation_alias.choices
    yield field.alias


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}".upper().replace("-", "_").replace(".", "_")
        if isinstance(value, dict):
            yield from _flat(value, f"{name}_")
        else:
            yield name, ",".join(map(str, value)) if isinstance(value, list) else value


def _secrets(values: Any) -> Iterator[str]:
    for value in values:
        if isinstance(value, SecretStr):
            if value:
                yield value.get_secret_value()
        elif isinstance(value, tuple):
            yield from _secrets(value)


S = TypeVar("S", bound=Settings)


def load(kind: type[S], **overrides: Any) -> S:
    """The settings, or Misconfigured with one line per variable that must be mended."""
    try:
        return kind(**overrides)
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors(include_input=False, include_url=False)]
        raise Misconfigured(f"{kind.service} cannot start:\n" + "\n".join(lines)) from None


def _line(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "missing":
        message = _MISSING
    return f"  {name} {message}"
