"""A one-off shell in the container of an app that runs, for operators: a WebSocket from terminal to control plane, and
one from there to the app's agent, which carry the same frames.

Frames of bytes are what is typed and what is written. Frames of text are JSON: `start` first and then `resize` from the
operator, `begun` and at last `end` from the agent.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter, field_validator

from protocol.base import LATE, Wire
from protocol.names import AppId, UserId

#: Of a terminal. More would only make the engine allocate.
Cells = Annotated[int, Field(ge=1, le=2000)]
#: Names in the terminal database.
TermName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$")]
_MOST_CHARACTERS = 4096


class ShellQuery(Wire):
    """`GET /agent/apps/shell`: whose shell."""

    user_id: UserId
    app_id: AppId


class ShellStart(Wire):
    """The first frame: what to run (nothing: bash, or else sh, of the image) and on what terminal."""

    kind: Literal["start"] = "start"
    command: tuple[str, ...] = Field(default=(), max_length=256)
    cols: Cells = 80
    rows: Cells = 24
    term: TermName = "xterm"

    @field_validator("command")
    @classmethod
    def _bounded_and_without_zero_bytes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if sum(map(len, value)) > _MOST_CHARACTERS:
            raise ValueError(f"must have at most {_MOST_CHARACTERS} characters")
        if any("\0" in word for word in value) or value[:1] == ("",):
            raise ValueError("must begin with a program's name and hold no zero byte")
        return value


class ShellResize(Wire):
    """The terminal has another size now."""

    kind: Literal["resize"] = "resize"
    cols: Cells
    rows: Cells


class ShellBegun(Wire):
    """The process runs, in `container`."""

    kind: Literal["begun"] = "begun"
    container: str


class ShellEndReason(StrEnum):
    """Why a shell ended.

    - `exited`: the process ended, with `exitCode`.
    - `stopped`: the app's container was stopped, as at the end of a redeployment.
    - `idle`, `time`: nothing was typed or written for too long; it was open for too long.
    - `shutdown`: the agent or the control plane is being stopped.
    - `left`: the operator's terminal is gone.
    - `lost`: the way to the agent is.
    - `failed`: it could not be begun, or the engine failed.
    """

    EXITED = "exited"
    STOPPED = "stopped"
    IDLE = "idle"
    TIME = "time"
    SHUTDOWN = "shutdown"
    LEFT = "left"
    LOST = "lost"
    FAILED = "failed"


class ShellEnd(Wire):
    """The last frame: why, in words too, unless the process ended by itself."""

    kind: Literal["end"] = "end"
    reason: ShellEndReason = Field(strict=False)
    exit_code: int | None = None
    text: str = ""


#: What an agent or the control plane says.
ShellWord = Annotated[ShellBegun | ShellEnd, Field(discriminator="kind")]
SHELL_WORD: TypeAdapter[ShellBegun | ShellEnd] = TypeAdapter(ShellWord, config=LATE)
#: What an operator's terminal says.
ShellOrder = Annotated[ShellStart | ShellResize, Field(discriminator="kind")]
SHELL_ORDER: TypeAdapter[ShellStart | ShellResize] = TypeAdapter(ShellOrder, config=LATE)


class ShellView(Wire):
    """A shell as the audit log has it: an event `opened` before the process is begun and one `closed` after its end.
    Never what was typed or written, only how many bytes. An empty `command` is the image's own shell."""

    id: str
    app_id: str
    node: str
    command: tuple[str, ...]
    opened_at: AwareDatetime
    container: str | None = None
    closed_at: AwareDatetime | None = None
    reason: ShellEndReason | None = Field(default=None, strict=False)
    exit_code: int | None = None
    typed_bytes: int = 0
    written_bytes: int = 0
