"""What happened to synthetic jobs, by the control plane and by the node, and what must not have happened.

All moments are of this process's monotonic clock.
"""

import itertools
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.client.deploy import AdminClient
from protocol.errors import JobReason
from protocol.events import JobEvent
from protocol.jobs import JobStatus, JobView
from tests.support.mortal_registry import MortalRegistry
from tests.support.watched_node import WatchedNode

_MOST_ATTEMPTS: Final = 3
#: An event reaches us after what it tells; a push is repeated for a while before it is given up.
_SLACK_SECONDS: Final = 15.0
#: What a registry that is down may do to a job.
_OF_REGISTRIES: Final = (JobReason.PUSH_FAILED, JobReason.DEPLOY_FAILED)


@dataclass
class Story:
    """One job: `kills` counts the deaths of runners that held it."""

    ordered_at: float
    app_id: str = ""
    view: JobView | None = None
    ended_at: float | None = None
    ends: int = 0
    kills: int = 0
    cancelled_at: float | None = None
    holder: str | None = None
    fences: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


@dataclass
class Book:
    """The stories of all jobs by id."""

    stories: dict[str, Story] = field(default_factory=dict)

    async def follow(self, admin: AdminClient) -> None:
        """Until the control plane ends the stream."""
        async for event in admin.follow(0):
            if isinstance(event, JobEvent) and event.seq is not None:
                self._note(event)

    def _note(self, event: JobEvent) -> None:
        job = event.job
        story = self.stories.setdefault(job.id, Story(time.monotonic()))
        story.view, story.app_id = job, job.app_id
        if event.change == "claimed":
            story.holder = job.runner_id
            story.fences.append(job.fence or 0)
        if event.change == "requeued":
            story.holder = None
        if job.status.terminal:
            story.holder = None
            story.ended_at = story.ended_at or time.monotonic()
            story.ends += event.change in ("succeeded", "failed", "cancelled")

    def held_by(self, runner: str) -> set[str]:
        """The jobs that a runner has."""
        return {job_id for job_id, story in self.stories.items() if story.holder == runner}

    @property
    def active(self) -> set[str]:
        """The apps with a job that did not end."""
        return {story.app_id for story in self.stories.values() if story.ended_at is None}

    def ended(self) -> Counter[str]:
        """How many ended how."""
        views = (story.view for story in self.stories.values() if story.view is not None and story.ended_at is not None)
        return Counter(f"{view.status.value}{f' {view.reason}' if view.reason else ''}" for view in views)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong, and what is only worth telling."""

    problems: Sequence[str]
    told: Sequence[str]


def judge(book: Book, ordered: Sequence[str], node: WatchedNode, registry: MortalRegistry) -> Verdict:
    """Nothing lost, nothing doubled."""
    problems = [*_lost(book, ordered), *_unexplained(book, registry), *_doubled(book, node), *_wrongly_live(book, node)]
    attempts = Counter(len(story.fences) for story in book.stories.values())
    again = sum(len(fences) > 1 for fences in _live_under(book, node).values())
    told = [
        f"ended: {dict(book.ended())}",
        f"attempts: {dict(sorted(attempts.items()))}; {sum(each.kills for each in book.stories.values())} were killed",
        f"asked of the node: {dict(Counter(each.status for each in node.asked))}, "
        f"{len(node.gateway.switches)} switches; "
        f"{again} jobs live under two attempts, one after the other, because the first one's runner died",
    ]
    return Verdict(problems, told)


def _lost(book: Book, ordered: Sequence[str]) -> Iterator[str]:
    for job_id in ordered:
        story = book.stories.get(job_id)
        if story is None or story.ended_at is None:
            yield f"job {job_id} was lost: {story}"
        elif story.ends != 1:
            yield f"job {job_id} ended {story.ends} times"
        elif len(set(story.fences)) != len(story.fences) or (story.view and story.view.attempt > _MOST_ATTEMPTS):
            yield f"job {job_id} was claimed under the fences {story.fences}"
    if strangers := book.stories.keys() - set(ordered):
        yield f"jobs that nobody ordered: {sorted(strangers)[:5]}"


def _unexplained(book: Book, registry: MortalRegistry) -> Iterator[str]:
    """Failures have a cause among those we made; successes and cancels are what was asked for."""
    for job_id, story in book.stories.items():
        view = story.view
        if view is None or view.status is not JobStatus.FAILED:
            continue
        since, until = story.ordered_at, story.ended_at or time.monotonic()
        killed = view.reason == JobReason.LEASE_LOST and story.kills >= _MOST_ATTEMPTS
        cut_off = view.reason in _OF_REGISTRIES and registry.was_down(since, until, _SLACK_SECONDS)
        if not killed and not cut_off:
            yield f"job {job_id} failed for no cause of ours: {view.reason} {(view.error_message or '')[:300]}"


def _doubled(book: Book, node: WatchedNode) -> Iterator[str]:
    times = Counter((each.app_id, each.fence) for each in node.asked if each.status == 200)
    yield from (
        f"fence {fence} of {app_id} was deployed {count} times" for (app_id, fence), count in times.items() if count > 1
    )
    for job_id, fences in _live_under(book, node).items():
        if len(fences) > 1 + book.stories[job_id].kills:
            yield f"job {job_id} went live under the fences {fences}, and its runner was not killed so often"
    by_app: dict[str, list[int]] = defaultdict(list)
    for switch in node.gateway.switches:
        by_app[switch.app_id].append(switch.fence)
    for app_id, order in by_app.items():
        if any(later < earlier for earlier, later in itertools.pairwise(order)):
            yield f"traffic of {app_id} went back to an older attempt: {order}"


def _live_under(book: Book, node: WatchedNode) -> dict[str, list[int]]:
    """The fences under which each job's app was switched to it."""
    jobs = {(story.app_id, fence): job_id for job_id, story in book.stories.items() for fence in story.fences}
    found: dict[str, list[int]] = defaultdict(list)
    for app_id, fence in dict.fromkeys((each.app_id, each.fence) for each in node.gateway.switches):
        found[jobs.get((app_id, fence), "nobody's")].append(fence)
    return found


def _wrongly_live(book: Book, node: WatchedNode) -> Iterator[str]:
    switched = {(each.app_id, each.fence): each.at for each in node.gateway.switches}
    wanted: dict[str, int] = {}
    for job_id, story in book.stories.items():
        if story.cancelled_at is not None:
            late = [fence for fence in story.fences if switched.get((story.app_id, fence), 0) > story.cancelled_at]
            yield from (f"job {job_id} went live under fence {fence} after its cancel" for fence in late)
        if story.view is None or story.view.status is not JobStatus.SUCCEEDED:
            continue
        fence = story.view.fence or 0
        asked = [each for each in node.asked if (each.app_id, each.fence, each.status) == (story.app_id, fence, 200)]
        if (story.app_id, fence) not in switched or not asked or asked[-1].image != story.view.image:
            yield f"job {job_id} succeeded, and the node was asked for {[each.image for each in asked]}"
        wanted[story.app_id] = max(wanted.get(story.app_id, 0), fence)
    for app_id, fence in wanted.items():
        live = node.fence_live(app_id)
        newest = max(each.fence for each in node.gateway.switches if each.app_id == app_id)
        if live != [newest] or newest < fence:
            yield f"{app_id} should run under fence {newest} (last success {fence}), and runs under {live}"
