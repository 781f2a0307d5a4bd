"""What an action is: for which objects, when not, what it asks before, and what it sends. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from console.live.actions.orders import Order
from console.live.catalog import view_of
from console.live.model import Scene
from console.live.words import later, t, tn
from protocol.base import Wire

T = TypeVar("T", bound=Wire)
_STALE: Final = later("what is shown may be out of date; wait for the connection")
_READ_ONLY: Final = later("the console is read-only here; open it with --write to change something")


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
    WORKSPACE_NODES = "workspace-nodes"
    ROLES = "roles"


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
    """What a context allows: changes at all (`write`; `why` says in English why it does not), and whether its targets
    have to be named (`production`)."""

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

    `ask` is the question about one object ({name}, and {option} if something is chosen for it), `ask_many` that about
    several ({count}), and `verb` the answer that does it. `views` are the tables whose objects it is for; without a
    `noun` it is for none. `refusal` says why an object cannot be meant. `typed` is what has to be typed where targets
    have to be named. `order` makes what is sent, of the object and of what was chosen or read for it.
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
    typed: Callable[[T], str] = str
    ask_many: str = ""
    refusal: Callable[[T, Scene], str | None] = lambda _value, _scene: None
    consequence: Callable[[T, Scene], str] = lambda _value, _scene: ""
    danger: Danger = Danger.CONFIRM
    several: bool = False
    reads: Reads = Reads.NOTHING
    back: str = "Cancel"
    footer: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something happens: every target has a line. `typed`: only who types this may say yes.
    `destructive`: yes takes something away."""

    title: str
    consequence: str
    verb: str
    back: str = "Cancel"
    targets: tuple[str, ...] = ()
    typed: str | None = None
    destructive: bool = False


@dataclass(frozen=True)
class Stand:
    """How every control plane stands; one that is not listed is not heard."""

    planes: Mapping[str, Standing] = field(default_factory=lambda: MappingProxyType({}))

    def why_not(self, plane: str) -> str | None:
        """Why nothing may be changed there now."""
        standing = self.planes.get(plane, Standing(fresh=False))
        if not standing.permit.write:
            return t(standing.permit.why)
        return None if standing.fresh else t(_STALE)

    def production(self, planes: Sequence[str]) -> bool:
        """Whether the targets have to be named."""
        return any(self.planes[each].permit.production for each in planes if each in self.planes)


def shown_in(action: Action[Any], view: str) -> bool:
    """Whether the action belongs to a table."""
    return not action.views or view in action.views


def refusal(action: Action[Any], view: str, aims: Sequence[Aim[Any]], stand: Stand) -> str | None:
    """Why the action cannot be done now with these objects; None when it can be asked for."""
    if not shown_in(action, view):
        return t("{action} is for {views}", action=t(action.title), views=_all(action.views))
    planes = {aim.plane for aim in aims} or set(stand.planes) or {""}
    for plane in sorted(planes):
        if why := stand.why_not(plane):
            return why
    if not action.noun:
        return None
    if not aims:
        return t("no {noun} is selected", noun=t(action.noun))
    if len(aims) > 1 and not action.several:
        words = later("{action} is for one {noun} at a time, and {count} are marked")
        return t(words, action=t(action.title), noun=t(action.noun), count=len(aims))
    return _refused(action, aims)


def _all(views: Sequence[str]) -> str:
    return t(" and ").join(t(view_of(each).title) for each in views)


def so_many(action: Action[Any], count: int) -> str:
    """So many of what it is for."""
    match action.noun:
        case "job":
            return tn("{count} job", "{count} jobs", count)
        case "app":
            return tn("{count} app", "{count} apps", count)
        case "node":
            return tn("{count} node", "{count} nodes", count)
        case "workspace":
            return tn("{count} workspace", "{count} workspaces", count)
        case "user":
            return tn("{count} user", "{count} users", count)
        case "host":
            return tn("{count} workspace node", "{count} workspace nodes", count)
        case _:
            return tn("{count} runner", "{count} runners", count)


def _refused(action: Action[Any], aims: Sequence[Aim[Any]]) -> str | None:
    for aim in aims:
        why = action.refusal(aim.value, aim.scene)
        if why:
            name = action.name(aim.value, aim.scene)
            words = later("{name}: {why}; unmark it") if len(aims) > 1 else later("{name}: {why}")
            return t(words, name=name, why=why)
    return None


def question(
    action: Action[Any], aims: Sequence[Aim[Any]], stand: Stand, option: Option | None = None, lines: Sequence[str] = ()
) -> Question:
    """What is asked: every object that is meant, also those that the filter hides, and what will happen to them."""
    names = [action.name(aim.value, aim.scene) for aim in aims]
    one = len(aims) == 1
    label = option.label if option is not None else ""
    title = t(action.ask if one else action.ask_many, name=names[0], count=len(aims), option=label)
    hidden = later("{name} (hidden by the filter)")
    marked = tuple(t(hidden, name=name) if aim.hidden else name for name, aim in zip(names, aims, strict=True))
    said = dict.fromkeys(action.consequence(aim.value, aim.scene) for aim in aims)
    typed = None
    if action.danger is Danger.DESTRUCTIVE and stand.production([aim.plane for aim in aims]):
        # In letters that every keyboard has.
        typed = action.typed(aims[0].value) if one else f"{len(aims)} {action.noun}s"
    targets = marked if not one or aims[0].hidden else ()
    words = "\n".join((*filter(None, said), *lines))
    destructive = action.danger is Danger.DESTRUCTIVE
    return Question(title, words, action.verb, action.back, targets, typed, destructive)
