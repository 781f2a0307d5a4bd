"""The operator's own settings: which control planes there are, and how the console looks. A TOML file, read strictly.

    default = "dev"                       # the context without --context; several: "dev,prod"
    theme = "dark"                        # as funai console --theme

    [contexts.prod]
    deploy-url = "https://deploy.example:7002"
    token-command = ["pass", "show", "funai/prod"]     # or token-file = "~/.config/funai/prod.token"
    production = true                     # destructive actions ask for the name of what they destroy
    write = false                         # look, and change nothing, unless the console is opened with --write
    columns = { jobs = ["status", "app", "age"] }

A token itself never stands in this file: files like this one are shown, copied and committed.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

_BETWEEN: Final = ","


class InvalidConfig(Exception):
    """The file cannot be used; the message names the file, the key and what is wrong with it, never its value."""


def _address(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an address; write http(s)://host[:port]")
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a name or password; tokens come from token-file or token-command")
    return given.rstrip("/")


#: Short enough for a column, and without the signs that stand between names or in keys.
ContextName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,30}$")]
Address = Annotated[str, AfterValidator(_address)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z-]{0,30}$")]
Columns = dict[FieldName, tuple[FieldName, ...]]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=_kebab,
        populate_by_name=False,
        hide_input_in_errors=True,
        defer_build=True,
    )


class Context(_Section):
    """One control plane and how an operator reaches it; paths may begin with `~`."""

    deploy_url: Address
    api_url: Address | None = None
    token_file: Path | None = None
    token_command: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    production: bool = False
    write: bool = False
    theme: str | None = None
    columns: Columns = {}
    keymap: dict[str, str] = {}

    @model_validator(mode="after")
    def _one_token(self) -> "Context":
        if (self.token_file is None) == (self.token_command is None):
            raise ValueError("needs a token-file or a token-command, and not both")
        return self


class Config(_Section):
    """The whole file. What a context does not say, the top of the file says for all of them."""

    default: str | None = None
    theme: str | None = None
    columns: Columns = {}
    keymap: dict[str, str] = {}
    contexts: dict[ContextName, Context] = {}

    @model_validator(mode="after")
    def _known_default(self) -> "Config":
        unknown = [name for name in names(self.default or "") if name not in self.contexts]
        if unknown:
            raise ValueError(f"default names {', '.join(unknown)}, and there is no such context")
        return self


def names(given: str) -> tuple[str, ...]:
    """The names in a list with commas, each once."""
    return tuple(dict.fromkeys(name.strip() for name in given.split(_BETWEEN) if name.strip()))


def path(environ: Mapping[str, str]) -> Path:
    """Where the file is: `FUNAI_CONFIG`, else `funai/config.toml` in the XDG folder for settings."""
    named = environ.get("FUNAI_CONFIG")
    if named:
        return Path(named)
    return _folder(environ, "XDG_CONFIG_HOME", ".config") / "funai" / "config.toml"


def state_path(environ: Mapping[str, str]) -> Path:
    """Where the console keeps what is not configuration: chosen columns, recordings, saved logs."""
    return _folder(environ, "XDG_STATE_HOME", ".local/state") / "funai"


def _folder(environ: Mapping[str, str], variable: str, usual: str) -> Path:
    named = environ.get(variable, "")
    # The XDG specification: paths that are not absolute are to be ignored.
    return Path(named) if named.startswith("/") else Path(environ.get("HOME") or "~").expanduser() / usual


def load(file: Path) -> Config:
    """The settings in a file; a file that is not there says nothing. Raises InvalidConfig."""
    try:
        text = file.read_text("utf-8")
    except FileNotFoundError:
        return Config.model_construct()  # what checks a file is not built for one that is not there
    except OSError as error:
        raise InvalidConfig(f"{file} cannot be read: {error.strerror}; check its owner and mode") from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"{file} is not UTF-8 text; write it anew") from error
    try:
        return Config.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig(f"{file} is not TOML: {error}; correct it") from error
    except ValidationError as error:
        raise InvalidConfig(f"{file}: {_said(error)}; see funai config schema") from None


def _said(error: ValidationError) -> str:
    parts = []
    for each in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(str(part) for part in each["loc"] if part != "[key]")
        parts.append(f"{place or 'the file'} {each['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
