"""Which objects a view shows, in which order: kept up with what changed, never made anew for it. Pure, but not frozen.

A table reads a `World` as often as it likes and pays for the objects that changed since. Objects are sorted by a rank
that does not change as time goes by (a moment, not an age), so nothing has to be sorted because a second passed.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from sortedcontainers import SortedList

from console.live.cells import Cell, Column, Row, Tone, cell
from console.live.filter import Condition, Filter
from console.live.keyed import Keyed
from console.live.model import Model, Scene, World
from console.live.views.spec import Field, Rank, ViewSpec, by_text
from console.live.words import later
from protocol.base import Wire

T = TypeVar("T", bound=Wire)
_BETWEEN: Final = "/"
#: The column that names an object's control plane; it is there when there are several.
PLANE: Final = "plane"
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


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an object stood among the others of a table, as long as the table is sorted as it was then (`order`)."""

    order: int
    place: Place


class _Entry(Generic[T]):
    """One object with what was worked out about it: `place` is None while it is hidden; `words`, and `stand`, where it
    stands when it is not hidden, until somebody asks for them."""

    __slots__ = ("id", "place", "plane", "stand", "value", "words")

    def __init__(self, plane: str, object_id: str, value: T) -> None:
        self.plane, self.id, self.value = plane, object_id, value
        self.words: str | None = None
        self.place: Place | None = None
        self.stand: Place | None = None


class Table(Generic[T]):
    """The rows of one view. `fields` are its columns: those of the view, or those that the operator chose."""

    def __init__(self, view: ViewSpec[T], columns: Iterable[str] = ()) -> None:
        self.view = view
        self.arrangement: Arrangement[T] = Arrangement(view.order)
        self.fields: tuple[Field[T], ...] = view.fields
        self._chosen: tuple[str, ...] = ()
        self._plane: Field[T] | None = None
        self._field: Field[T] = _existing(view, view.order)
        self._entries: dict[str, _Entry[T]] = {}
        self._shown: SortedList[Place] = SortedList()
        self._order = 0
        self._scenes: dict[str, Scene] = {}
        self._seen: dict[str, int] = {}
        self._cold: list[str] = []
        self.choose(columns)

    def __len__(self) -> int:
        """How many rows are shown."""
        return len(self._shown)

    @property
    def columns(self) -> tuple[Column, ...]:
        """How its columns are laid out."""
        return tuple(field.column for field in self.fields)

    @property
    def total(self) -> int:
        """How many objects there are, hidden ones too."""
        return len(self._entries)

    def key(self, row: int) -> str:
        """The key of a shown row."""
        place: Place = self._shown[self._index(row)]
        return place[1]

    def keys(self, start: int, count: int) -> list[str]:
        """The keys of so many shown rows from `start` on, as far as there are any."""
        size = len(self._shown)
        end = min(size, start + count)
        if self.arrangement.reverse:
            places: Iterator[Place] = self._shown.islice(size - end, size - start, reverse=True)
        else:
            places = self._shown.islice(start, end)
        return [place[1] for place in places]

    def row_of(self, key: str) -> int | None:
        """Where an object is shown; None when it is not."""
        entry = self._entries.get(key)
        if entry is None or entry.place is None:
            return None
        return self._index(self._shown.index(entry.place))

    def spot(self, key: str) -> Spot | None:
        """Where a shown object stands, to be found again when it is gone."""
        entry = self._entries.get(key)
        return None if entry is None or entry.place is None else Spot(self._order, entry.place)

    def row_at(self, spot: Spot) -> int | None:
        """The row that stands where an object once stood; None when the table is sorted otherwise now."""
        if spot.order != self._order:
            return None
        before: int = self._shown.bisect_left(spot.place)
        return len(self._shown) - before if self.arrangement.reverse else before

    def value(self, key: str) -> T | None:
        """The object, shown or hidden; None when it is gone."""
        entry = self._entries.get(key)
        return entry.value if entry else None

    def plane_of(self, key: str) -> str | None:
        """The name of an object's control plane; None when the object is gone."""
        entry = self._entries.get(key)
        return entry.plane if entry else None

    def scene(self, key: str) -> Scene | None:
        """The control plane and the time that an object is seen in."""
        entry = self._entries.get(key)
        return self._scenes.get(entry.plane) if entry else None

    def row(self, row: int) -> Row:
        """The cells of a shown row, as of the last `follow`."""
        return self.drawn(self.key(row))

    def drawn(self, key: str) -> Row:
        """The cells of an object, as of the last `follow`."""
        entry = self._entries[key]
        scene = self._scenes[entry.plane]
        return Row(key, tuple(each.cell(entry.value, scene) for each in self.fields))

    def aged(self, row: Row) -> Row:
        """The cells of an object that stayed as it was, now that time went by; the same row when they say the same.
        Only for columns that are those of `row`."""
        entry = self._entries.get(row.key)
        if entry is None or not self.view.alone:
            return row if entry is None else self.drawn(row.key)
        scene, made = self._scenes[entry.plane], list(row.cells)
        for index, each in enumerate(self.fields):
            if each.ticks:
                made[index] = each.cell(entry.value, scene)
        cells = tuple(made)
        return row if cells == row.cells else Row(row.key, cells)

    def shown(self) -> Iterable[str]:
        """All shown keys in their order."""
        places = reversed(self._shown) if self.arrangement.reverse else iter(self._shown)
        return (place[1] for place in places)

    def field(self, name: str) -> Field[T] | None:
        """The column of that name, whether it is shown or not."""
        if name == PLANE and self._plane is not None:
            return self._plane
        return self.view.field(name)

    def choose(self, names: Iterable[str]) -> None:
        """Show these columns in this order; names that are no columns are left out, none at all means every column.

        The flexible column stays, at the end, because it takes what room is left.
        """
        self._chosen = tuple(dict.fromkeys(names))
        known = {each.name: each for each in self.view.fields}
        found = tuple(known[name] for name in self._chosen if name in known and not known[name].column.flex)
        flexible = tuple(each for each in self.view.fields if each.column.flex)
        plane = () if self._plane is None else (self._plane,)
        self.fields = (*plane, *found, *flexible) if found else (*plane, *self.view.fields)

    def follow(self, world: World, local: float) -> frozenset[str] | None:
        """Take in what is new, at the local moment `local`; answers whose rows may look different now, whatever the
        time: None for all."""
        changed: set[str] = set()
        everything = self._forget(world) | self._name_planes(world)
        for name, live in world.planes.items():
            if live.model is None:
                continue
            before = self._scenes.get(name)
            self._scenes[name] = scene = Scene(live.model, live.model.server_time(local), name, live.link.fresh(local))
            collection = self.view.objects(live.model)
            ids = self._news(before.model if before else None, live.model, name)
            self._seen[name] = collection.version
            if ids is None:
                everything = True
                self._read_all(scene, collection)
            elif ids:
                changed |= self._read(scene, collection, ids)
        return None if everything else frozenset(changed)

    def warm(self, most: int) -> bool:
        """Work out the words of at most so many objects that a filter has not asked for yet; whether any are left.

        Called while nothing else is to be done, it keeps the first keystroke of a filter from waiting for all.
        """
        for key in self._cold[-most:]:
            entry = self._entries.get(key)
            if entry is not None:
                self._words(entry)
        del self._cold[-most:]
        return bool(self._cold)

    def arrange(self, arrangement: Arrangement[T]) -> None:
        """Sort and filter anew."""
        before, self.arrangement = self.arrangement, arrangement
        self._field = self.field(arrangement.order) or _existing(self.view, self.view.order)
        if (before.order, before.reverse) != (arrangement.order, arrangement.reverse):
            self._order += 1
            for entry in self._entries.values():
                entry.stand = None
            places = self._places(self._entries)
        elif before.scope is arrangement.scope and arrangement.filter.narrows(before.filter):
            places = self._places(place[1] for place in self._shown)
        else:
            places = self._places(self._entries)
        self._shown = SortedList(places)

    def _places(self, keys: Iterable[str]) -> list[Place]:
        """The places of those that are wanted among these, all others of which are hidden now."""
        places = []
        entries, wanted = self._entries, self._wish()
        for key in keys:
            entry = entries[key]
            entry.place = (entry.stand or self._stand(key, entry)) if wanted(entry) else None
            if entry.place is not None:
                places.append(entry.place)
        return places

    def _wish(self) -> Callable[[_Entry[T]], bool]:
        """Which entries are wanted. Nearly always that is a word which occurs in an object's own: every object is asked
        with every letter typed, so that one is asked as shortly as can be."""
        conditions = self.arrangement.filter.conditions
        if self.arrangement.scope is None and not conditions:
            return lambda _: True
        if self.arrangement.scope is not None or len(conditions) != 1 or conditions[0].field is not None:
            return lambda entry: self._wanted(entry, self._scenes[entry.plane])
        match, wanted = conditions[0].match, conditions[0].wanted
        return lambda entry: match(self._words(entry) if entry.words is None else entry.words) is wanted

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

    def _name_planes(self, world: World) -> bool:
        """Show a column of names when there are several control planes; whether that is new."""
        several = len(world.planes) > 1
        if several == (self._plane is not None):
            return False
        self._plane = _plane_field() if several else None
        self.choose(self._chosen)
        return True

    def _news(self, before: Model | None, model: Model, name: str) -> frozenset[str] | None:
        """The ids whose rows may differ from what they were; None for all of them."""
        if before is None or name not in self._seen:
            return None
        own = self.view.objects(model).since(self._seen[name])
        if before is model or own is None or not self.view.joined:
            return own
        others = self.view.touched(before, model) if self.view.touched else None
        return None if others is None else own | others

    def _read_all(self, scene: Scene, collection: Keyed[T]) -> None:
        kept = {key_of(scene.plane, each) for each in collection}
        mine = [key for key, entry in self._entries.items() if entry.plane == scene.plane and key not in kept]
        for key in mine:
            self._drop(key)
        empty = not len(self._shown)
        for object_id, value in collection.items():
            self._put(scene, object_id, value, sort=not empty)
        if empty:
            self._shown = SortedList(each.place for each in self._entries.values() if each.place is not None)

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

    def _put(self, scene: Scene, object_id: str, value: T, *, sort: bool = True) -> None:
        key = key_of(scene.plane, object_id)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(scene.plane, object_id, value)
            self._cold.append(key)
        else:
            warm, entry.value, entry.words, entry.stand = entry.words is not None, value, None, None
            if warm:
                self._words(entry)
        place = self._place(key, entry)
        if place == entry.place:
            return
        if sort and entry.place is not None:
            self._shown.remove(entry.place)
        if sort and place is not None:
            self._shown.add(place)
        entry.place = place

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None and entry.place is not None:
            self._shown.remove(entry.place)

    def _place(self, key: str, entry: _Entry[T]) -> Place | None:
        return self._stand(key, entry) if self._wanted(entry, self._scenes[entry.plane]) else None

    def _stand(self, key: str, entry: _Entry[T]) -> Place:
        unknown, rank = self._field.rank(entry.value, self._scenes[entry.plane])
        # Read from its end, a reversed table still has what is unknown at its end.
        entry.stand = ((not unknown if self.arrangement.reverse else unknown), rank), key
        return entry.stand

    def _wanted(self, entry: _Entry[T], scene: Scene) -> bool:
        scope = self.arrangement.scope
        if scope is not None and not scope(entry.value):
            return False
        return all(self._holds(each, entry, scene) for each in self.arrangement.filter.conditions)

    def _holds(self, condition: Condition, entry: _Entry[T], scene: Scene) -> bool:
        if condition.field is None:
            return condition.holds(self._words(entry))
        column = self.field(condition.field)
        if column is None:
            return True
        return condition.holds(column.text(entry.value, scene).casefold())

    def _words(self, entry: _Entry[T]) -> str:
        if entry.words is None:
            scene = self._scenes[entry.plane]
            entry.words = f"{self.view.words(entry.value, scene)} {entry.plane}".casefold()
        return entry.words


def _plane_field() -> Field[T]:
    def shown(_: T, scene: Scene) -> Cell:
        return cell(scene.plane, Tone.QUIET) if scene.fresh else cell(f"! {scene.plane}", Tone.BAD)

    def rank(_: T, scene: Scene) -> Rank:
        return by_text(scene.plane)

    return Field(PLANE, Column(later("PLANE"), 10), shown, rank, lambda _, scene: scene.plane, ticks=True)


def _existing(view: ViewSpec[T], name: str) -> Field[T]:
    found = view.field(name)
    if found is None:
        raise LookupError(f"the view {view.name} has no column {name!r}")
    return found


def rearranged(shown: Sequence[str], name: str, what: str) -> tuple[str, ...]:
    """The columns after one of them was hidden (`hide`) or moved (`left`, `right`); nothing when that cannot be."""
    if name not in shown or what not in ("hide", "left", "right"):
        return ()
    at, rest = shown.index(name), [each for each in shown if each != name]
    if what == "hide":
        return tuple(rest)
    to = at + (1 if what == "right" else -1)
    if not 0 <= to < len(shown):
        return ()
    rest.insert(to, name)
    return tuple(rest)
