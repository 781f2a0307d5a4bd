"""The steps of a feed as lines of JSON, and back. Pure.

A reel begins with a key: everything that was shown at one moment. The lines after it say what changed. Objects are
written one at a time: who writes ten thousand of them in another thread never keeps the console from its turn for long.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from console.live.keyed import Keyed
from console.live.model import Link, LinkState, Live, Model
from console.live.reduce import MOST_JOBS
from console.live.tape import Applied, Loaded, Published, Reread, Step, replay
from protocol.apps import AppRunView
from protocol.base import LATE, Wire
from protocol.events import AnyEvent, Snapshot
from protocol.jobs import JobView
from protocol.nodes import NodeView, PlacementView, RunnerView


class LinkLine(Wire):
    """A `Link`."""

    state: LinkState
    heard_at: float | None = None
    retry_at: float | None = None
    problem: str | None = None


class KeyLine(Wire):
    """Everything that was shown at the local moment `local`."""

    kind: Literal["key"] = "key"
    local: float
    link: LinkLine
    seq: int
    at: AwareDatetime
    heard_at: float
    snapshot_at: float
    jobs: tuple[JobView, ...]
    nodes: tuple[NodeView, ...]
    runners: tuple[RunnerView, ...]
    placements: tuple[PlacementView, ...]
    apps: tuple[AppRunView, ...]


class LoadedLine(Wire):
    """A `Loaded`."""

    kind: Literal["loaded"] = "loaded"
    local: float
    snapshot: Snapshot


class AppliedLine(Wire):
    """An `Applied`."""

    kind: Literal["applied"] = "applied"
    local: float
    events: tuple[AnyEvent, ...]
    most_jobs: int = MOST_JOBS


class RereadLine(Wire):
    """A `Reread`."""

    kind: Literal["reread"] = "reread"
    local: float
    jobs: tuple[JobView, ...]


class PublishedLine(Wire):
    """A `Published`."""

    kind: Literal["published"] = "published"
    local: float
    link: LinkLine


_AnyLine = Annotated[
    KeyLine | LoadedLine | AppliedLine | RereadLine | PublishedLine,
    Field(discriminator="kind"),
]
_LINE: TypeAdapter[_AnyLine] = TypeAdapter(_AnyLine, config=LATE)


class Unreadable(Exception):
    """A recording is damaged, or another version wrote it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One value that was shown, at the local moment `local`, and the steps that led to it from the one before."""

    local: float
    steps: tuple[Step, ...]

    def after(self, live: Live) -> Live:
        """The value that was shown, after the one before."""
        for step in self.steps:
            live = replay(live, step)
        return live


@dataclass(frozen=True, slots=True)
class Reel:
    """What was shown first, and every frame after it."""

    local: float
    live: Live
    frames: tuple[Frame, ...]


def key(model: Model, published: Published) -> Iterator[bytes]:
    """The key of what was published, in small pieces."""
    link = _link(published.link).to_json()
    at = model.at.isoformat().encode()
    yield b'{"kind":"key","local":%a,"link":%b,"seq":%d,"at":"%b"' % (published.local, link, model.seq, at)
    yield b',"heardAt":%a,"snapshotAt":%a' % (model.heard_at, model.snapshot_at)
    collections: tuple[tuple[bytes, Iterable[Wire]], ...] = (
        (b"jobs", model.jobs.values()),
        (b"nodes", model.nodes.values()),
        (b"runners", model.runners.values()),
        (b"placements", model.placements.values()),
        (b"apps", model.apps.values()),
    )
    for name, objects in collections:
        yield b',"%b":' % name
        yield from _list(objects)
    yield b"}\n"


def written(step: Step) -> Iterator[bytes]:
    """A step as one line, in small pieces."""
    match step:
        case Loaded():
            yield b'{"kind":"loaded","local":%a,"snapshot":%b}\n' % (step.local, step.snapshot.to_json())
        case Applied():
            yield b'{"kind":"applied","local":%a,"mostJobs":%d,"events":' % (step.local, step.most_jobs)
            yield from _list(step.events)
            yield b"}\n"
        case Reread():
            yield b'{"kind":"reread","local":%a,"jobs":' % step.local
            yield from _list(step.jobs.values())
            yield b"}\n"
        case Published():
            yield b'{"kind":"published","local":%a,"link":%b}\n' % (step.local, _link(step.link).to_json())


def read(lines: bytes) -> Reel:
    """The reel of these lines; a last frame that is not complete is left out. Raises Unreadable."""
    begin: KeyLine | None = None
    frames: list[Frame] = []
    steps: list[Step] = []
    for text in lines.splitlines():
        try:
            line = _LINE.validate_json(text)
        except ValidationError as error:
            raise Unreadable(f"a recording is not to be read: {error.error_count()} problems in a line") from error
        if isinstance(line, KeyLine):
            begin, frames, steps = line, [], []
            continue
        steps.append(_step(line))
        if isinstance(line, PublishedLine):
            frames.append(Frame(line.local, tuple(steps)))
            steps = []
    if begin is None:
        raise Unreadable("a recording has no beginning; choose another time")
    return Reel(begin.local, _live(begin), tuple(frames))


def _list(objects: Iterable[Wire]) -> Iterator[bytes]:
    sign = b"["
    for each in objects:
        yield sign
        yield each.to_json()
        sign = b","
    yield b"]" if sign == b"," else b"[]"


def _step(line: LoadedLine | AppliedLine | RereadLine | PublishedLine) -> Step:
    match line:
        case LoadedLine():
            return Loaded(line.local, line.snapshot)
        case AppliedLine():
            return Applied(line.local, line.events, line.most_jobs)
        case RereadLine():
            return Reread(line.local, {job.id: job for job in line.jobs})
        case PublishedLine():
            return Published(line.local, _unlink(line.link))


def _live(line: KeyLine) -> Live:
    model = Model(
        seq=line.seq,
        at=line.at,
        heard_at=line.heard_at,
        snapshot_at=line.snapshot_at,
        jobs=Keyed({job.id: job for job in line.jobs}),
        nodes=Keyed({str(node.node_id): node for node in line.nodes}),
        runners=Keyed({runner.runner_id: runner for runner in line.runners}),
        placements=Keyed({placement.app_id: placement for placement in line.placements}),
        apps=Keyed({app.app_id: app for app in line.apps}),
    )
    return Live(model, _unlink(line.link))


def _link(link: Link) -> LinkLine:
    return LinkLine(state=link.state, heard_at=link.heard_at, retry_at=link.retry_at, problem=link.problem)


def _unlink(line: LinkLine) -> Link:
    return Link(line.state, line.heard_at, line.retry_at, line.problem)
