"""What the palette and the command line find: every view, every action, every object. Pure.

`cancel 7c1e` is an action and what it is for; `nodes rt-02` is a view and an object in it; anything else is searched
everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.live.actions.registry import ACTIONS
from console.live.actions.spec import Action
from console.live.fuzzy import best
from console.live.model import Scene, World
from console.live.plain import line
from console.live.table import key_of
from console.live.views.spec import ViewSpec
from console.live.words import t

MOST_FOUND: Final = 40
_LONGEST: Final = 110


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to choose: a view, an object (`key`) in it, an action, or an action on an object. `find` is what is
    searched."""

    label: str
    find: str
    note: str = ""
    view: str | None = None
    key: str | None = None
    action: str | None = None


@dataclass(frozen=True)
class Index:
    """Everything there was when the palette was opened."""

    views: tuple[Entry, ...]
    actions: tuple[Entry, ...]
    objects: tuple[Entry, ...]


def index(world: World, views: Sequence[ViewSpec[Any]], local: float) -> Index:
    """Everything there is at the local moment `local`."""
    found: list[Entry] = []
    for name, live in world.planes.items():
        if live.model is not None:
            scene = Scene(live.model, live.model.server_time(local), name)
            for view in (each for each in views if each.findable):
                found.extend(_objects(view, scene))
    return Index(tuple(map(_view, views)), tuple(map(_action, ACTIONS)), tuple(found))


def _objects(view: ViewSpec[Any], scene: Scene) -> Iterable[Entry]:
    """Found by what they are called in either language: `job` in English, the singular of the view's title."""
    english, shown = view.title.removesuffix("s").casefold(), t(view.title)
    kind, known = (english, "") if shown == view.title else (shown, f"{english} ")
    for object_id, value in view.objects(scene.model).items():
        label = f"{kind} {line(view.words(value, scene), _LONGEST)}"
        yield Entry(label, f"{known}{label}".casefold(), view=view.name, key=key_of(scene.plane, object_id))


def _view(view: ViewSpec[Any]) -> Entry:
    """Found by what it is called in either language."""
    find = f"{view.name} {view.title} {t(view.title)}".casefold()
    return Entry(view.name, find, t(f"Show {view.name}"), view=view.name)


def _action(action: Action[Any]) -> Entry:
    """Found by what it is called in either language, and by its id."""
    find = f"{action.title} {action.id} {t(action.title)}".casefold()
    return Entry(t(action.title), find, t(action.tooltip), action=action.id)


def search(found: Index, typed: str) -> Sequence[Entry]:
    """What was probably meant, best first."""
    first, blank, rest = typed.strip().casefold().partition(" ")
    if blank:
        pairs = _on_objects(found, first, rest) or _in_view(found, first, rest)
        if pairs:
            return pairs
    everything = (*found.views, *found.actions, *found.objects)
    return best(typed, everything, lambda entry: entry.find, MOST_FOUND)


def _on_objects(found: Index, verb: str, rest: str) -> Sequence[Entry]:
    """The actions of that name, on the objects that the rest finds."""
    pairs: list[Entry] = []
    for action in ACTIONS:
        if action.noun and verb in names_of(action):
            meant = (entry for entry in found.objects if entry.view in action.views)
            hits = best(rest, meant, lambda entry: entry.find, MOST_FOUND)
            pairs += [_on(action, entry) for entry in hits]
    return pairs[:MOST_FOUND]


def _in_view(found: Index, name: str, rest: str) -> Sequence[Entry]:
    meant = [entry for entry in found.objects if entry.view == name]
    return best(rest, meant, lambda entry: entry.find, MOST_FOUND) if meant else ()


def _on(action: Action[Any], entry: Entry) -> Entry:
    label = f"{action.id.partition('.')[2]} {entry.label}"
    return Entry(label, entry.find, action.title, view=entry.view, key=entry.key, action=action.id)


def names_of(action: Action[Any]) -> frozenset[str]:
    """What an action is called on the command line."""
    return frozenset((action.id, action.id.partition(".")[2], action.title.casefold().replace(" ", "-")))
