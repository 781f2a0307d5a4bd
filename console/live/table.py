"""Which objects a view shows, in which order: kept up with what changed, never made anew for it. Pure, but not frozen.

A table reads a `World` as often as it likes and pays for the objects that changed since. Objects are sorted by a rank
that does not change as time goes by (a moment, not an age), so nothing has to be sorted because a second passed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from sortedcontainers import SortedList

from console.live.cells import Row
from console.live.filter import Condition, Filter
from console.live.keyed import Keyed
from console.live.model import Scene, World
from console.live.views.spec import Field, Rank, ViewSpec
from protocol.base import Wire

T = TypeVar("T", bound=Wire)
_BETWEEN: Final = "/"
Place = tuple[Rank, str]


def key_of(plane: str, object_id: str) -> str:
    """How an object is called in tables: by its id, and by its control plane's name where there are several."""
    return f"{plane}{_BETWEEN}{object_id}" if plane else object_id


@dataclass(frozen=True)
class Arrangement(Generic[T]):
    """How the operator wants a table: sorted by which column, filtered by what, about which objects alone."""

    order: str
    reverse: bool = False
    filter: Filter = field(default_factory=Filter)
    scope: Callable[[T], bool] | None = None


class _Entry(Generic[T]):
    """One object with what was worked out about it; `place` is None while it is hidden."""

    __slots__ = ("id", "place", "plane", "value", "words")

    def __init__(self, plane: str, object_id: str, value: T, words: str) -> None:
        self.plane, self.id, self.value, self.words = plane, object_id, value, words
        self.place: Place | None = None


class Table(Generic[T]):
    """The rows of one view."""

    def __init__(self, view: ViewSpec[T]) -> None:
        self.view = view
        self.arrangement: Arrangement[T] = Arrangement(view.order)
        self._field: Field[T] = _existing(view, view.order)
        self._entries: dict[str, _Entry[T]] = {}
        self._shown: SortedList[Place] = SortedList()
        self._scenes: dict[str, Scene] = {}
        self._seen: dict[str, int] = {}

    def __len__(self) -> int:
        """How many rows are shown."""
        return len(self._shown)

    @property
    def total(self) -> int:
        """How many objects there are, hidden ones too."""
        return len(self._entries)

    def key(self, row: int) -> str:
        """The key of a shown row."""
        place: Place = self._shown[self._index(row)]
        return place[1]

    def row_of(self, key: str) -> int | None:
        """Where an object is shown; None when it is not."""
        entry = self._entries.get(key)
        if entry is None or entry.place is None:
            return None
        return self._index(self._shown.index(entry.place))

    def value(self, key: str) -> T | None:
        """The object, shown or hidden; None when it is gone."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def scene(self, key: str) -> Scene | None:
        """The control plane and the time that an object is seen in."""
        entry = self._entries.get(key)
        return self._scenes.get(entry.plane) if entry else None

    def row(self, row: int) -> Row:
        """The cells of a shown row, as of the last `follow`."""
        key = self.key(row)
        entry = self._entries[key]
        scene = self._scenes[entry.plane]
        return Row(key, tuple(each.cell(entry.value, scene) for each in self.view.fields))

    def shown(self) -> Iterable[str]:
        """All shown keys in their order."""
        places = reversed(self._shown) if self.arrangement.reverse else iter(self._shown)
        return (place[1] for place in places)

    def follow(self, world: World, local: float) -> frozenset[str] | None:
        """Take in what is new, at the local moment `local`; answers whose rows may look different now, whatever the
        time: None for all."""
        changed: set[str] = set()
        everything = self._forget(world)
        for name, live in world.planes.items():
            if live.model is None:
                continue
            before = self._scenes.get(name)
            self._scenes[name] = scene = Scene(live.model, live.model.server_time(local), name)
            collection = self.view.objects(live.model)
            ids = collection.since(self._seen[name]) if name in self._seen else None
            self._seen[name] = collection.version
            if ids is None or (self.view.joined and before is not None and before.model is not live.model):
                everything = True
                self._read_all(scene, collection)
            else:
                changed |= self._read(scene, collection, ids)
        return None if everything else frozenset(changed)

    def arrange(self, arrangement: Arrangement[T]) -> None:
        """Sort and filter anew."""
        wanted = self.view.field(arrangement.order) or _existing(self.view, self.view.order)
        self._field, self.arrangement = wanted, arrangement
        self._shown = SortedList()
        places = []
        for key, entry in self._entries.items():
            entry.place = self._place(key, entry)
            if entry.place is not None:
                places.append(entry.place)
        self._shown = SortedList(places)

    def _index(self, row: int) -> int:
        return len(self._shown) - 1 - row if self.arrangement.reverse else row

    def _forget(self, world: World) -> bool:
        """Drop the objects of control planes that are shown no more."""
        left = [name for name in self._scenes if name not in world.planes]
        for name in left:
            del self._scenes[name]
            self._seen.pop(name, None)
            for key in [key for key, entry in self._entries.items() if entry.plane == name]:
                self._drop(key)
        return bool(left)

    def _read_all(self, scene: Scene, collection: Keyed[T]) -> None:
        kept = {key_of(scene.plane, each) for each in collection}
        mine = [key for key, entry in self._entries.items() if entry.plane == scene.plane and key not in kept]
        for key in mine:
            self._drop(key)
        for object_id, value in collection.items():
            self._put(scene, object_id, value)

    def _read(self, scene: Scene, collection: Keyed[T], ids: Iterable[str]) -> set[str]:
        changed = set()
        for object_id in ids:
            value = collection.get(object_id)
            key = key_of(scene.plane, object_id)
            changed.add(key)
            if value is None:
                self._drop(key)
            else:
                self._put(scene, object_id, value)
        return changed

    def _put(self, scene: Scene, object_id: str, value: T) -> None:
        key = key_of(scene.plane, object_id)
        entry = self._entries.get(key)
        words = self.view.words(value, scene).casefold()
        if entry is None:
            entry = self._entries[key] = _Entry(scene.plane, object_id, value, words)
        else:
            entry.value, entry.words = value, words
        place = self._place(key, entry)
        if place == entry.place:
            return
        if entry.place is not None:
            self._shown.remove(entry.place)
        if place is not None:
            self._shown.add(place)
        entry.place = place

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None and entry.place is not None:
            self._shown.remove(entry.place)

    def _place(self, key: str, entry: _Entry[T]) -> Place | None:
        scene = self._scenes[entry.plane]
        if not self._wanted(entry, scene):
            return None
        unknown, rank = self._field.rank(entry.value, scene)
        # Read from its end, a reversed table still has what is unknown at its end.
        return ((not unknown if self.arrangement.reverse else unknown), rank), key

    def _wanted(self, entry: _Entry[T], scene: Scene) -> bool:
        scope = self.arrangement.scope
        if scope is not None and not scope(entry.value):
            return False
        return all(self._holds(each, entry, scene) for each in self.arrangement.filter.conditions)

    def _holds(self, condition: Condition, entry: _Entry[T], scene: Scene) -> bool:
        if condition.field is None:
            return condition.holds(entry.words)
        column = self.view.field(condition.field)
        if column is None:
            return True
        return condition.holds(column.text(entry.value, scene).casefold())


def _existing(view: ViewSpec[T], name: str) -> Field[T]:
    found = view.field(name)
    if found is None:
        raise LookupError(f"the view {view.name} has no column {name!r}")
    return found
