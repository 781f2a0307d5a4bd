"""A collection of objects by id, frozen, that knows which of them changed lately.

Readers keep the version that they saw and ask what changed since: a table of 100,000 rows pays for the rows that
changed, and for no others. How often it asks does not matter: what it missed is still told, up to `_KEPT` batches back.
"""

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from typing import Final, TypeVar

V = TypeVar("V")
_KEPT: Final = 64


class Keyed(Mapping[str, V]):
    """Objects by id; `version` grows with every batch of changes.

    Equal to itself alone, so that what is worked out of a whole collection can be remembered for as long as it lives.
    """

    __slots__ = ("_lately", "_objects", "version")

    def __init__(
        self, objects: Mapping[str, V] | None = None, version: int = 0, lately: tuple[frozenset[str], ...] = ()
    ) -> None:
        self._objects: Mapping[str, V] = objects if objects is not None else {}
        self._lately = lately
        self.version = version

    def since(self, version: int) -> frozenset[str] | None:
        """Ids that came, changed or went after `version`; None when that is too long ago to tell: look at all."""
        missed = self.version - version
        if missed <= 0:
            return frozenset()
        if missed > len(self._lately):
            return None
        return frozenset().union(*self._lately[len(self._lately) - missed :])

    def changed(self, put: Mapping[str, V], gone: Iterable[str] = ()) -> "Keyed[V]":
        """The collection after one batch: `put` came or changed, `gone` went (and wins over `put`)."""
        ids = frozenset(put).union(gone)
        if not ids:
            return self
        objects = {**self._objects, **put}
        for each in gone:
            objects.pop(each, None)
        return Keyed(objects, self.version + 1, (*self._lately[1 - _KEPT :], ids))

    def replaced(self, objects: Mapping[str, V]) -> "Keyed[V]":
        """The collection when everything was read anew; nobody can tell what changed."""
        return Keyed(dict(objects), self.version + 1)

    def __getitem__(self, key: str) -> V:
        return self._objects[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def values(self) -> ValuesView[V]:
        """All objects."""
        return self._objects.values()

    def items(self) -> ItemsView[str, V]:
        """All objects with their ids."""
        return self._objects.items()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)
