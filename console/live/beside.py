"""What is known of a control plane beside its snapshot: what was fetched for the shown page, what was remembered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

from console.live.backlog import Backlog
from console.live.keyed import Keyed
from console.live.trends import Trends
from protocol.base import Wire

_NOTHING: Final[Keyed[Any]] = Keyed()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A collection that was asked for. `read_at` is when it was last read, `tried_at` when that was last tried and
    `asked_at` when that began (seconds of the local clock), `problem` why the newest attempt failed, `older` where more
    of it begins, and `reading` whether an answer is awaited."""

    objects: Keyed[Any] = field(default_factory=Keyed)
    read_at: float | None = None
    tried_at: float | None = None
    problem: str | None = None
    older: str | None = None
    reading: bool = False
    asked_at: float | None = None

    def merged(self, found: Mapping[str, Wire], *, whole: bool) -> "Fetched":
        """With what was read; `whole`: what was not read is no more."""
        known = self.objects
        put = {key: value for key, value in found.items() if key not in known or known[key] != value}
        gone = [key for key in known if key not in found] if whole else []
        return replace(self, objects=known.changed(put, gone))


@dataclass(frozen=True, slots=True)
class Beside:
    """By topic (`console.live.topics`) what was fetched; how jobs and figures went."""

    fetched: Mapping[str, Fetched] = field(default_factory=lambda: MappingProxyType({}))
    backlog: Backlog = field(default_factory=Backlog)
    trends: Trends = field(default_factory=Trends)

    def of(self, topic: str) -> Keyed[Any]:
        """What was fetched of a topic; nothing before it was."""
        found = self.fetched.get(topic)
        return found.objects if found is not None else _NOTHING

    def with_topic(self, topic: str, found: Fetched) -> "Beside":
        """After news of one topic."""
        return replace(self, fetched=MappingProxyType({**self.fetched, topic: found}))
