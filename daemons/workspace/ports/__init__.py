"""What the services need from the outside, and the ways it fails."""

from enum import StrEnum
from pathlib import Path
from typing import Protocol


class HomeError(Exception):
    """A user's files cannot be reached on this node; the message says why."""


class Use(StrEnum):
    """What counts as use of a workspace, so that it is neither frozen nor stopped."""

    FILES = "files"
    TERMINAL = "terminal"
    PREVIEW = "preview"
    RUN = "run"
    GIT = "git"
    CPU = "cpu"
    CALL = "call"


class Homes(Protocol):
    """The files of users: `/workspace` of their containers."""

    async def ready(self, user_id: str) -> Path:
        """The folder, there and mounted, with `apps` and `run` in it. Raises HomeError."""
        ...


class Activity(Protocol):
    """Who used a workspace last."""

    def touch(self, user_id: str, use: Use) -> None:
        """Now."""
        ...
