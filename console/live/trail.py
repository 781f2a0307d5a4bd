"""Where the operator is and how to go back: pages one leads into, and those visited before and after. Pure."""

from dataclasses import dataclass, replace
from typing import Final

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A page: which view, and about which object of which control plane; without `subject` about all of them."""

    view: str
    subject: str = ""
    plane: str = ""


@dataclass(frozen=True, slots=True)
class Visit:
    """A place, and the names of the pages that led into it, its own last."""

    place: Place
    crumbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trail:
    """Visits, oldest first; `at` is the present one. To go somewhere else forgets the visits after it."""

    visits: tuple[Visit, ...]
    at: int = 0

    @property
    def here(self) -> Visit:
        """The present visit."""
        return self.visits[self.at]

    def begun(self, place: Place, name: str) -> "Trail":
        """At a page that nothing leads into."""
        return self._gone_to(Visit(place, (name,)))

    def into(self, place: Place, name: str) -> "Trail":
        """At a page that the present one leads into."""
        return self._gone_to(Visit(place, (*self.here.crumbs, name)))

    def back(self) -> "Trail":
        """At the page before; the first one stays."""
        return replace(self, at=max(0, self.at - 1))

    def forward(self) -> "Trail":
        """At the page from which one went back; without one, here."""
        return replace(self, at=min(len(self.visits) - 1, self.at + 1))

    def out(self) -> "Trail":
        """One crumb up: back to the latest page with fewer crumbs."""
        for number in range(self.at - 1, -1, -1):
            if len(self.visits[number].crumbs) < len(self.here.crumbs):
                return replace(self, at=number)
        return self

    def places(self) -> frozenset[Place]:
        """Every page that back or forward can lead to."""
        return frozenset(visit.place for visit in self.visits)

    def _gone_to(self, visit: Visit) -> "Trail":
        if visit.place == self.here.place:
            return self
        visits = (*self.visits[: self.at + 1], visit)[-_MOST:]
        return Trail(visits, len(visits) - 1)
