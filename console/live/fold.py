"""What is worked out of a whole collection, kept up with what changed in it. Pure, with a short memory."""

from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from console.live.keyed import Keyed

V = TypeVar("V")
R = TypeVar("R")
_REMEMBERED: Final = 8


class Fold(Generic[V, R]):
    """A function of a collection that is fast on the next version of a collection that it has seen.

    `whole` works it out of all objects; `step` out of what it was before and of the pairs of what each changed object
    was and is (None: it was not there, or is no more). A step answers a value of its own and leaves the former alone.
    """

    def __init__(
        self, whole: Callable[[Iterable[V]], R], step: Callable[[R, Iterable[tuple[V | None, V | None]]], R]
    ) -> None:
        self._whole = whole
        self._step = step
        #: By collection: the version last seen, and what it led to. The newest is last.
        self._seen: dict[object, tuple[Keyed[V], R]] = {}

    def __call__(self, objects: Keyed[V]) -> R:
        """The value for this version."""
        seen = self._seen.pop(objects.lineage, None)
        found = self._after(seen, objects)
        self._seen[objects.lineage] = (objects, found)
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return found

    def _after(self, seen: tuple[Keyed[V], R] | None, objects: Keyed[V]) -> R:
        if seen is None or objects.version < seen[0].version:
            return self._whole(objects.values())
        before, known = seen
        if before is objects:
            return known
        ids = objects.since(before.version)
        if ids is None or before.version == objects.version:
            return self._whole(objects.values())
        return self._step(known, ((before.get(key), objects.get(key)) for key in ids))
