"""What widgets, screens and the app tell each other. Values that supersede one another coalesce in the queue."""

from collections.abc import Sequence

from textual.message import Message

from console.live.logs.book import Origin, Piece
from console.live.model import World
from protocol.jobs import CreateJob


class WorldChanged(Message):
    """A feed has news; a newer one replaces one that nobody read yet."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, WorldChanged)


class RowSelected(Message):
    """The cursor of a table is on another object, or (with `key` None) on none."""

    def __init__(self, key: str | None) -> None:
        super().__init__()
        self.key = key


class MarksChanged(Message):
    """Rows were marked or unmarked; `gone`: so many marked objects are no more."""

    def __init__(self, gone: int) -> None:
        super().__init__()
        self.gone = gone


class RowOpened(Message):
    """The operator asked to look into the selected object."""


class ViewWanted(Message):
    """The operator asked for another table."""

    def __init__(self, view: str) -> None:
        super().__init__()
        self.view = view


class LogWanted(Message):
    """Follow the logs of these, or (of none) follow none."""

    def __init__(self, origins: Sequence[Origin] = ()) -> None:
        super().__init__()
        self.origins = tuple(origins)


class LogPieces(Message):
    """More of the log of these origins."""

    def __init__(self, origins: tuple[Origin, ...], pieces: Sequence[Piece]) -> None:
        super().__init__()
        self.origins = origins
        self.pieces = pieces


class LogEnded(Message):
    """The log of origin `number` of these is complete, or (with `problem`) cannot be read."""

    def __init__(self, origins: tuple[Origin, ...], number: int, problem: str | None = None) -> None:
        super().__init__()
        self.origins = origins
        self.number = number
        self.problem = problem


class ReplayWanted(Message):
    """Move through a recording: `kind` is toggle, frame, nudge (seconds), faster, share (0 to 1), time (with
    `text`), or stay."""

    def __init__(self, kind: str, value: float = 0, text: str = "") -> None:
        super().__init__()
        self.kind = kind
        self.value = value
        self.text = text


class CancelWanted(Message):
    """The operator confirmed that a job be cancelled."""

    def __init__(self, job_id: str, app_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.app_id = app_id


class CordonWanted(Message):
    """The operator confirmed that a node take no (or again) new deployments."""

    def __init__(self, name: str, enabled: bool) -> None:
        super().__init__()
        self.name = name
        self.enabled = enabled


class DeployWanted(Message):
    """The operator sent the deploy form."""

    def __init__(self, order: CreateJob, idempotency_key: str) -> None:
        super().__init__()
        self.order = order
        self.idempotency_key = idempotency_key


class CommandDone(Message):
    """A command ended; `problem` tells whether it failed."""

    def __init__(self, sentence: str, *, problem: bool = False) -> None:
        super().__init__()
        self.sentence = sentence
        self.problem = problem
