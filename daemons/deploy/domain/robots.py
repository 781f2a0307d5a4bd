"""Accounts of programs in the registry, and what each may do there: no more than its work takes.

Runners push and pull, runtime nodes pull, and the control plane lists and deletes. None may do it in another project.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_MOST_CHARACTERS: Final = 60


class RobotRole(StrEnum):
    """What an account is for."""

    RUNNER = "runner"
    NODE = "node"
    CONTROL_PLANE = "control-plane"


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One thing that an account may do in its project, in Harbor's words."""

    resource: str
    action: str


_PULL: Final = Access("repository", "pull")
ACCESS: Final = {
    RobotRole.RUNNER: frozenset({_PULL, Access("repository", "push")}),
    RobotRole.NODE: frozenset({_PULL}),
    RobotRole.CONTROL_PLANE: frozenset(
        {
            Access("repository", "list"),
            Access("repository", "delete"),
            Access("artifact", "list"),
            Access("artifact", "read"),
            Access("artifact", "delete"),
        }
    ),
}
_VARIABLES: Final = {
    RobotRole.RUNNER: ("REGISTRY_USERNAME", "REGISTRY_PASSWORD"),
    RobotRole.NODE: ("REGISTRY_USERNAME", "REGISTRY_PASSWORD"),
    RobotRole.CONTROL_PLANE: ("DEPLOY_REGISTRY_CLEANUP_USERNAME", "DEPLOY_REGISTRY_CLEANUP_PASSWORD"),
}


@dataclass(frozen=True, slots=True)
class WantedRobot:
    """An account as it is to be; `name` is its own part of the login name."""

    name: str
    role: RobotRole

    @property
    def access(self) -> frozenset[Access]:
        """What it may do, and nothing else."""
        return ACCESS[self.role]


@dataclass(frozen=True, slots=True)
class Robot:
    """An account as it is. `login` is its whole name, which begins as the registry is configured; `access` is None
    where it reaches beyond the project. `expires_at` is seconds since the epoch, -1 for never."""

    robot_id: int
    login: str
    access: frozenset[Access] | None
    disabled: bool
    expires_at: int

    def is_as(self, wanted: WantedRobot) -> bool:
        """Whether nothing has to be changed."""
        return self.access == wanted.access and not self.disabled and self.expires_at == -1


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login and its secret, which is told once. The secret is in no representation of it."""

    login: str
    secret: str

    def __repr__(self) -> str:
        return f"Credentials({self.login!r})"


@dataclass(frozen=True, slots=True)
class RegistryProject:
    """A project of the registry. `retention` says whether it has a rule of its own that removes images."""

    project_id: int
    public: bool
    retention: bool


@dataclass(frozen=True, slots=True)
class GarbageSchedule:
    """When the registry frees the space of what was deleted, and whether it also removes images without a tag."""

    cron: str
    removes_untagged: bool


def robot_name(text: str) -> str:
    """The text, if an account may have it as its name, which is also that of a file. Raises ValueError."""
    if len(text) > _MOST_CHARACTERS or not _NAME.fullmatch(text):
        raise ValueError(
            f"must be at most {_MOST_CHARACTERS} lower-case letters and digits, with '.', '_' or '-' between"
        )
    return text


def found(robots: Sequence[Robot], project: str, name: str) -> Robot | None:
    """The account of this name. How login names begin is the registry's setting."""
    return next((robot for robot in robots if robot.login.endswith(f"{project}+{name}")), None)


def environment(role: RobotRole, credentials: Credentials) -> str:
    """The lines of an environment file for whoever has the role. systemd expands nothing in them."""
    user, password = _VARIABLES[role]
    return f"{user}={credentials.login}\n{password}={credentials.secret}\n"
