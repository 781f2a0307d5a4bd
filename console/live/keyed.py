"""A collection of objects by id, frozen, that knows which of them changed lately.

Readers keep the version that they saw and ask what changed since: a table of 100,000 rows pays for the rows that
changed, and for no others. How often it asks does not matter: what it missed is still told, up to `_KEPT` batches back.

A batch costs what it changes, not what there is: a version is the collection of some time ago and what changed on top
of it, and every so often (`_MOST_ON_TOP`) both are made one.
"""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Final, Generic, TypeVar

V = TypeVar("V")
_KEPT: Final = 64
_MOST_ON_TOP: Final = 1024


class _Top(Generic[V]):
    """What changed on top of a base: `put` came or changed, `gone` were in the base and are no more."""

    __slots__ = ("gone", "put")

    def __init__(self, put: Mapping[str, V], gone: frozenset[str]) -> None:
        self.put, self.gone = put, gone


class Keyed(Mapping[str, V]):
    """Objects by id; `version` grows with every batch of changes, `lineage` is the same for all versions of one
    collection.

    Equal to itself alone, so that what is worked out of a whole collection can be remembered for as long as it lives.
    """

    __slots__ = ("__weakref__", "_base", "_lately", "_size", "_top", "lineage", "version")

    def __init__(self, objects: Mapping[str, V] | None = None) -> None:
        self._base: Mapping[str, V] = objects if objects is not None else {}
        self._top: _Top[V] | None = None
        self._size = len(self._base)
        self._lately: tuple[frozenset[str], ...] = ()
        self.version = 0
        self.lineage = object()

    def since(self, version: int) -> frozenset[str] | None:
        """Ids that came, changed or went after `version`; None when that is too long ago to tell: look at all."""
        missed = self.version - version
        if missed <= 0:
            return frozenset()
        if missed > len(self._lately):
            return None
        if missed == 1:
            return self._lately[-1]
        return frozenset().union(*self._lately[len(self._lately) - missed :])

    def changed(self, put: Mapping[str, V], gone: Iterable[str] = ()) -> "Keyed[V]":
        """The collection after one batch: `put` came or changed, `gone` went (and wins over `put`)."""
        dropped = frozenset(gone)
        ids = dropped.union(put)
        if not ids:
            return self
        came = {key: value for key, value in put.items() if key not in dropped} if dropped else put
        size = self._size + sum(key not in self for key in came) - sum(key in self for key in dropped)
        top = self._top
        if top is not None:
            left = {key: value for key, value in top.put.items() if key not in dropped} if dropped else top.put
            top = _Top({**left, **came}, top.gone.union(dropped).difference(came))
        else:
            top = _Top(dict(came), dropped)
        return self._next(self._base, top, size, (*self._lately[1 - _KEPT :], ids))

    def replaced(self, objects: Mapping[str, V]) -> "Keyed[V]":
        """The collection when everything was read anew; nobody can tell what changed."""
        whole = dict(objects)
        return self._next(whole, None, len(whole), ())

    def _next(
        self, base: Mapping[str, V], top: _Top[V] | None, size: int, lately: tuple[frozenset[str], ...]
    ) -> "Keyed[V]":
        found = Keyed(base)
        found._top, found._size, found._lately = top, size, lately
        found.version, found.lineage = self.version + 1, self.lineage
        if top is not None and len(top.put) + len(top.gone) > _MOST_ON_TOP:
            found._whole()
        return found

    def _whole(self) -> Mapping[str, V]:
        """All objects as one mapping. What is known stays the same; how it is kept does not."""
        top = self._top
        if top is not None:
            whole = {**self._base, **top.put}
            for key in top.gone:
                whole.pop(key, None)
            self._base, self._top = whole, None
        return self._base

    def __getitem__(self, key: str) -> V:
        top = self._top
        if top is not None:
            if key in top.put:
                return top.put[key]
            if key in top.gone:
                raise KeyError(key)
        return self._base[key]

    def __contains__(self, key: object) -> bool:
        top = self._top
        if top is not None:
            if key in top.put:
                return True
            if key in top.gone:
                return False
        return key in self._base

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return self._size

    def values(self) -> ValuesView[V]:
        """All objects."""
        return self._whole().values()

    def items(self) -> ItemsView[str, V]:
        """All objects with their ids."""
        return self._whole().items()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)
