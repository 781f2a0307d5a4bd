"""What widgets, screens and the app tell each other. Values that supersede one another coalesce in the queue."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.message import Message

from console.live.actions.orders import Order
from console.live.actions.spec import Aim, Found
from console.live.logs.book import Origin, Piece
from console.live.model import World
from console.live.trail import Place


class WorldChanged(Message):
    """A feed has news; a newer one replaces one that nobody read yet."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def can_replace(self, message: Message) -> bool:
        """Only the newest counts."""
        return isinstance(message, WorldChanged)


class PageReady(Message):
    """A page that was just made can be drawn."""


class TopicsWanted(Message):
    """The shown page needs these topics of each control plane, and none that another page needed."""

    def __init__(self, topics: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.topics = topics


class OlderWanted(Message):
    """The operator came to the end of what was read of a topic."""

    def __init__(self, plane: str, topic: str) -> None:
        super().__init__()
        self.plane = plane
        self.topic = topic


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


class SortWanted(Message):
    """The operator chose a column to sort by; the one it is sorted by already is turned round."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field


class ColumnsChosen(Message):
    """The operator chose which columns a view shows, in which order; none: every column."""

    def __init__(self, view: str, names: tuple[str, ...]) -> None:
        super().__init__()
        self.view = view
        self.names = names


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


class LookUpWanted(Message):
    """An action cannot be asked about before something was read; the answer names the same `ticket`."""

    def __init__(self, action: str, aim: Aim[Any], ticket: int) -> None:
        super().__init__()
        self.action = action
        self.aim = aim
        self.ticket = ticket


class LookedUp(Message):
    """What was read for an action, or (with `problem`) why it cannot be."""

    def __init__(self, ticket: int, found: Found | None, problem: str = "") -> None:
        super().__init__()
        self.ticket = ticket
        self.found = found
        self.problem = problem


class OrdersWanted(Message):
    """The operator confirmed these changes: each with its control plane and its idempotency key."""

    def __init__(self, orders: tuple[tuple[str, Order, str], ...], many: str = "") -> None:
        super().__init__()
        self.orders = orders
        self.many = many


class CopyWanted(Message):
    """Put a text on the clipboard."""

    def __init__(self, text: str, what: str) -> None:
        super().__init__()
        self.text = text
        self.what = what


class FormSent(Message):
    """The operator sent a form."""

    def __init__(self, order: Order, idempotency_key: str, plane: str = "") -> None:
        super().__init__()
        self.plane = plane
        self.order = order
        self.idempotency_key = idempotency_key


class CommandDone(Message):
    """A command ended; `problem` tells whether it failed, `follow` which job it made that is looked at next."""

    def __init__(self, sentence: str, *, problem: bool = False, follow: Place | None = None) -> None:
        super().__init__()
        self.sentence = sentence
        self.problem = problem
        self.follow = follow
