"""Orders to a user's terminal, and how one is opened."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from protocol.base import Wire
from protocol.workspaces import AppRef

Columns = Annotated[int, Field(ge=1, le=1000)]
Rows = Annotated[int, Field(ge=1, le=1000)]
Offset = Annotated[int, Field(ge=0, le=2**53)]


class TerminalRef(AppRef):
    """Which terminal: a new one of this size, or an open one, read from an offset on (none: all that is kept)."""

    session: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")] | None = None
    offset: Offset | None = None
    cols: Columns = 80
    rows: Rows = 24


class TerminalOrder(Wire):
    """What a viewer says besides what they type."""

    type: Literal["resize", "ack", "close"]
    cols: Columns | None = None
    rows: Rows | None = None
    offset: Offset | None = None


class FormerOrder(Wire):
    """What existing clients send, one JSON document a frame; a type that is not known is a line for the shell."""

    type: str
    data: str | None = None
    cols: Columns | None = None
    rows: Rows | None = None
