"""What an action is: for which objects, when not, what it asks before, and what it sends. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from console.live.actions.orders import Order
from console.live.model import Scene
from protocol.base import Wire

T = TypeVar("T", bound=Wire)
_STALE: Final = "what is shown may be out of date; wait for the connection"
_READ_ONLY: Final = "the console is read-only here; open it with --write to change something"


class Danger(StrEnum):
    """How an action is asked for: a form of its own asks (`none`), a question does, or one that in a context marked
    `production` wants the target's name typed."""

    NONE = "none"
    CONFIRM = "confirm"
    DESTRUCTIVE = "destructive"


class Reads(StrEnum):
    """What has to be read of the control plane before the question can be put."""

    NOTHING = "nothing"
    FORM = "form"
    NODES = "nodes"
    RELEASES = "releases"
    PREVIEW = "preview"
    PLANS = "plans"
    OPERATIONS = "operations"
    DELIVERIES = "deliveries"


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that the operator may choose for an action: a release, a node, a plan. `refusal`: why not this one.
    `value` is what the order is made from, `version` what it was chosen among."""

    key: str
    label: str
    value: Any = None
    refusal: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What was read for an action: `options` to choose from, or `lines` for the question. `refusal`: it cannot be done;
    `partial`: it can be done for a part only."""

    options: tuple[Option, ...] = ()
    lines: tuple[str, ...] = ()
    refusal: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Permit:
    """What a context allows: changes at all (`write`; `why` says why it does not), and whether its targets have to be
    named (`production`)."""

    write: bool = True
    production: bool = False
    why: str = _READ_ONLY


@dataclass(frozen=True, slots=True)
class Standing:
    """What speaks for and against changes to one control plane now."""

    permit: Permit = Permit()
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Aim(Generic[T]):
    """An object that an action is meant for, as it was when the operator asked. `key` is its row's."""

    key: str
    value: T
    scene: Scene
    hidden: bool = False

    @property
    def plane(self) -> str:
        """The control plane it belongs to."""
        return self.scene.plane


@dataclass(frozen=True)
class Action(Generic[T]):
    """One thing that an operator can do.

    `ask` begins the question and `verb` is the answer that does it. `views` are the tables whose objects it is for;
    without a `noun` it is for none. `refusal` says why an object cannot be meant. `order` makes what is sent, of the
    object and of what was chosen or read for it.
    """

    id: str
    title: str
    ask: str
    verb: str
    tooltip: str
    order: Callable[[T, Scene, Option | None], Order | None]
    noun: str = ""
    key: str = ""
    views: tuple[str, ...] = ()
    name: Callable[[T, Scene], str] = lambda value, _: str(value)
    refusal: Callable[[T, Scene], str | None] = lambda _value, _scene: None
    consequence: Callable[[T, Scene], str] = lambda _value, _scene: ""
    danger: Danger = Danger.CONFIRM
    several: bool = False
    reads: Reads = Reads.NOTHING
    choose: str = ""
    back: str = "Cancel"
    footer: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something happens: every target has a line. `typed`: only who types this may say yes."""

    title: str
    consequence: str
    verb: str
    back: str = "Cancel"
    targets: tuple[str, ...] = ()
    typed: str | None = None


@dataclass(frozen=True)
class Stand:
    """How every control plane stands; one that is not listed is not heard."""

    planes: Mapping[str, Standing] = field(default_factory=lambda: MappingProxyType({}))

    def why_not(self, plane: str) -> str | None:
        """Why nothing may be changed there now."""
        standing = self.planes.get(plane, Standing(fresh=False))
        if not standing.permit.write:
            return standing.permit.why
        return None if standing.fresh else _STALE

    def production(self, planes: Sequence[str]) -> bool:
        """Whether the targets have to be named."""
        return any(self.planes[each].permit.production for each in planes if each in self.planes)


def shown_in(action: Action[Any], view: str) -> bool:
    """Whether the action belongs to a table."""
    return not action.views or view in action.views


def refusal(action: Action[Any], view: str, aims: Sequence[Aim[Any]], stand: Stand) -> str | None:
    """Why the action cannot be done now with these objects; None when it can be asked for."""
    if not shown_in(action, view):
        return f"{action.title} is for {' and '.join(action.views)}"
    planes = {aim.plane for aim in aims} or set(stand.planes) or {""}
    for plane in sorted(planes):
        if why := stand.why_not(plane):
            return why
    if not action.noun:
        return None
    if not aims:
        return f"no {action.noun} is selected"
    if len(aims) > 1 and not action.several:
        return f"{action.title} is for one {action.noun} at a time, and {len(aims)} are marked"
    return _refused(action, aims)


def _refused(action: Action[Any], aims: Sequence[Aim[Any]]) -> str | None:
    for aim in aims:
        why = action.refusal(aim.value, aim.scene)
        if why:
            name = action.name(aim.value, aim.scene)
            return f"{name}: {why}" + ("; unmark it" if len(aims) > 1 else "")
    return None


def question(
    action: Action[Any], aims: Sequence[Aim[Any]], stand: Stand, option: Option | None = None, lines: Sequence[str] = ()
) -> Question:
    """What is asked: every object that is meant, also those that the filter hides, and what will happen to them."""
    names = [action.name(aim.value, aim.scene) for aim in aims]
    one = len(aims) == 1
    chosen = f" {action.choose} {option.label}" if option is not None and action.choose else ""
    title = f"{action.ask} {names[0]}{chosen}?" if one else f"{action.ask} {len(aims)} {action.noun}s{chosen}?"
    marked = tuple(
        f"{name} (hidden by the filter)" if aim.hidden else name for name, aim in zip(names, aims, strict=True)
    )
    said = dict.fromkeys(action.consequence(aim.value, aim.scene) for aim in aims)
    typed = None
    if action.danger is Danger.DESTRUCTIVE and stand.production([aim.plane for aim in aims]):
        typed = names[0].split()[-1] if one else f"{len(aims)} {action.noun}s"
    targets = marked if not one or aims[0].hidden else ()
    return Question(title, "\n".join((*filter(None, said), *lines)), action.verb, action.back, targets, typed)
