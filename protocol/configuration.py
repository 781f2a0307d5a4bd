"""How an app is to be run, as its owner configures it; every absent value is the node's own default.

Environment and secrets both become variables of the container. Secrets are never shown again: in what readers see of
a job their values are null, and an order that carries such a null is refused.
"""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from protocol.base import Wire

#: Set by the platform itself.
_RESERVED: Final = frozenset({"PORT"})
_MOST_VARIABLES: Final = 200
_MOST_CHARACTERS: Final = 131_072
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError("must be 1 to 128 letters, digits or '_', not starting with a digit")
    if name in _RESERVED:
        raise ValueError(f"{name} is set by the platform; containerPort chooses its value")
    return name


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not hold a zero byte, which no environment can carry")
    return value


VariableName = Annotated[str, AfterValidator(_variable)]
VariableText = Annotated[str, StringConstraints(max_length=32_768), AfterValidator(_text)]


class RestartPolicy(StrEnum):
    """When an app that ended is started again, after a pause that grows while it keeps ending."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


class RolloutStrategy(StrEnum):
    """`start-first` starts the new version beside the old one. `stop-first` is for apps of which two must never run:
    the old one stops first, and visitors wait until the new one answers."""

    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"


class AppConfig(Wire):
    """`config` of a deployment."""

    environment: dict[VariableName, VariableText] = Field(default={}, max_length=_MOST_VARIABLES, repr=False)
    secrets: dict[VariableName, VariableText | None] = Field(default={}, max_length=_MOST_VARIABLES, repr=False)
    memory_bytes: int | None = Field(default=None, ge=6 * 1024**2, le=2**50)
    cpu_millis: int | None = Field(default=None, ge=10, le=1_000_000)
    pids_limit: int | None = Field(default=None, ge=8, le=100_000)
    stop_grace_seconds: int | None = Field(default=None, ge=0, le=120)
    # Lax: what was stored is read again from builtins, where an enum is a string.
    restart_policy: RestartPolicy | None = Field(default=None, strict=False)
    strategy: RolloutStrategy | None = Field(default=None, strict=False)

    @field_validator("secrets")
    @classmethod
    def _each_name_once_and_all_together_bounded(
        cls, value: dict[str, str | None], info: ValidationInfo
    ) -> dict[str, str | None]:
        environment: dict[str, str] = info.data.get("environment", {})
        if twice := environment.keys() & value.keys():
            raise ValueError(f"also in environment: {', '.join(sorted(twice))}")
        size = sum(len(name) + len(text or "") for part in (environment, value) for name, text in part.items())
        if size > _MOST_CHARACTERS:
            raise ValueError(f"together with environment more than {_MOST_CHARACTERS} characters")
        return value


def without_secrets(config: AppConfig) -> AppConfig:
    """The configuration as readers may see it: the secrets' names alone."""
    return config.model_copy(update={"secrets": dict.fromkeys(config.secrets)})


def with_all_secrets(config: AppConfig) -> AppConfig:
    """The configuration itself. Raises ValueError when a secret's value is missing."""
    if missing := sorted(name for name, value in config.secrets.items() if value is None):
        raise ValueError(f"give the values of these secrets again, because they are never shown: {', '.join(missing)}")
    return config


#: As it is ordered.
GivenConfig = Annotated[AppConfig, AfterValidator(with_all_secrets)]
