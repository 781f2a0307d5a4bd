"""A collection that is worked out of a model: users out of jobs, stages out of one job. Pure, but not frozen.

It is worked out again when one of its sources is another value, and then knows which of its objects changed.
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from console.live.keyed import Keyed
from console.live.model import Model
from protocol.base import Wire

T = TypeVar("T", bound=Wire)


class Derived(Generic[T]):
    """Called with a model, as the `objects` of a view."""

    def __init__(
        self, sources: Callable[[Model], tuple[object, ...]], make: Callable[[Model], Mapping[str, T]]
    ) -> None:
        self._sources = sources
        self._make = make
        self._before: tuple[object, ...] | None = None
        self._objects: Keyed[T] = Keyed()

    def __call__(self, model: Model) -> Keyed[T]:
        """The collection of this model."""
        sources = self._sources(model)
        before = self._before
        if before is None or any(one is not other and one != other for one, other in zip(sources, before, strict=True)):
            self._before = sources
            self._take(self._make(model))
        return self._objects

    def _take(self, made: Mapping[str, T]) -> None:
        known = self._objects
        put = {key: value for key, value in made.items() if key not in known or known[key] != value}
        self._objects = known.changed(put, [key for key in known if key not in made])
