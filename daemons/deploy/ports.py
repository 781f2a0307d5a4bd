"""What the services need from the outside.

`Store.transact` runs a function inside one transaction and may run it again after a deadlock, so the function does
nothing but
read, decide and write through the transaction it is given. Row protocols are narrow; `Transaction` is their sum.
Every write of a job is guarded: it answers False when the row is no longer the one the change was computed from.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from daemons.deploy.domain.events import Event, NewEvent
from daemons.deploy.domain.idempotency import Key, Remembered
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.nodes import AppRun, Placement, Runner, RuntimeNode
from daemons.deploy.domain.releases import Release, Review

T = TypeVar("T")


class JobRows(Protocol):
    """Table `fun_ai_deploy_job` and the per-app row that serialises creates and holds the fence counter."""

    async def lock_app(self, app_id: str) -> None:
        """Lock the app's row until the transaction ends, making it first if it is new."""
        ...

    async def next_fence(self, app_id: str) -> int:
        """Raise the app's fence by one and answer it; strictly rising per app, never reused."""
        ...

    async def insert_job(self, job: Job) -> bool:
        """False when the app already has a job in that (PENDING or RUNNING) state: the unique indexes refuse it."""
        ...

    async def save_job(self, job: Job, was: Job) -> bool:
        """Write the job if its row still has `was.version`; False when it moved on or another job holds the state."""
        ...

    async def job(self, job_id: str, *, lock: bool = False) -> Job | None:
        """One job, optionally locked until the transaction ends."""
        ...

    async def active_jobs(self, app_id: str) -> Sequence[Job]:
        """The app's PENDING and RUNNING jobs."""
        ...

    async def running_of(self, app_ids: Collection[str]) -> Mapping[str, Job]:
        """The RUNNING job of each of these apps that has one."""
        ...

    async def pending_of(self, app_ids: Collection[str]) -> Mapping[str, Job]:
        """The PENDING job of each of these apps that has one."""
        ...

    async def claimable(self, limit: int, now: int) -> Sequence[Job]:
        """PENDING jobs that may start (`not_before` reached, no RUNNING job of the same app), oldest first, locked;
        rows that another transaction holds are skipped."""
        ...

    async def expired(self, limit: int, now: int) -> Sequence[Job]:
        """RUNNING jobs whose lease ended at or before `now`, oldest lease first, locked, held rows skipped."""
        ...

    async def running_since(self, limit: int, before: int) -> Sequence[Job]:
        """RUNNING jobs that started before, oldest first, locked, held rows skipped."""
        ...

    async def newest_jobs(self, limit: int) -> Sequence[Job]:
        """Newest created first."""
        ...

    async def jobs_of_app(self, app_id: str, limit: int) -> Sequence[Job]:
        """Newest created first."""
        ...

    async def delete_jobs(self, app_id: str) -> int:
        """Delete the app's ended jobs with their logs; how many."""
        ...

    async def prune_jobs(self, app_id: str, keep: int) -> int:
        """Delete, with their logs, all but the newest `keep` of the app's ended jobs that were not superseded; how
        many."""
        ...

    async def prune_superseded(self, app_id: str, keep: int) -> int:
        """Delete, with their logs, all but the newest `keep` of the app's superseded jobs; how many."""
        ...

    async def count_jobs(self) -> Mapping[str, int]:
        """How many jobs are in each active state (PENDING, RUNNING), for metrics."""
        ...


class IdempotencyRows(Protocol):
    """Table `fun_ai_deploy_idempotency`. Who reads or writes an app's keys holds the app's row."""

    async def remembered(self, key: Key) -> Remembered | None:
        """What the key was used for, also when its time is over."""
        ...

    async def remember(self, used: Remembered) -> None:
        """Write what the key was used for, in place of what it was used for before."""
        ...

    async def forget_keys_of(self, app_id: str) -> int:
        """Forget all keys of an app; how many."""
        ...

    async def forget_keys(self, limit: int, now: int) -> int:
        """Forget up to `limit` keys whose time is over, oldest first; how many."""
        ...


class NodeRows(Protocol):
    """Table `fun_ai_deploy_runtime_node`."""

    async def nodes(self) -> Sequence[RuntimeNode]:
        """All nodes by id."""
        ...

    async def node(self, node_id: int) -> RuntimeNode | None:
        """One node."""
        ...

    async def node_named(self, name: str, *, lock: bool = False) -> RuntimeNode | None:
        """One node by its unique name."""
        ...

    async def insert_node(self, node: RuntimeNode) -> RuntimeNode | None:
        """The node with the id it was given (`node.id` is ignored); None when the name is taken."""
        ...

    async def save_node(self, node: RuntimeNode) -> None:
        """Write every column but the id and the name."""
        ...


class PlacementRows(Protocol):
    """Table `fun_ai_deploy_runtime_placement`: one row per app."""

    async def placement(self, app_id: str) -> Placement | None:
        """Where the app lives."""
        ...

    async def placements_of(self, app_ids: Collection[str]) -> Mapping[str, Placement]:
        """Where these apps live, by app id."""
        ...

    async def all_placements(self, limit: int) -> Sequence[Placement]:
        """The first `limit` placements by app id."""
        ...

    async def placements_on(self, node_id: int, offset: int, limit: int) -> Sequence[Placement]:
        """One page of a node's placements, ordered by app id as text."""
        ...

    async def count_placements(self) -> Mapping[int, int]:
        """How many apps live on each node."""
        ...

    async def placed_since(self, since: int) -> Mapping[int, int]:
        """How many placements each node got at or after `since`: they are not in its last heartbeat's figures yet."""
        ...

    async def put_placement(self, placement: Placement) -> None:
        """Insert or move."""
        ...

    async def delete_placement(self, app_id: str) -> bool:
        """Whether there was one."""
        ...


class AppRunRows(Protocol):
    """Table `fun_ai_deploy_app_run`."""

    async def app_run(self, app_id: str) -> AppRun | None:
        """The last known state of one app."""
        ...

    async def app_runs(self, limit: int) -> Sequence[AppRun]:
        """The first `limit` by app id."""
        ...

    async def put_app_run(self, run: AppRun) -> None:
        """Insert or overwrite."""
        ...

    async def delete_app_run(self, app_id: str) -> bool:
        """Whether there was one."""
        ...


class RunnerRows(Protocol):
    """Table `fun_ai_deploy_runner`."""

    async def touch_runner(self, runner: Runner) -> None:
        """Insert or update; fields that are None keep their stored value."""
        ...

    async def runners(self) -> Sequence[Runner]:
        """All runners by id."""
        ...

    async def forget_runners(self, unseen_since: int) -> int:
        """Delete runners last seen before; how many."""
        ...


class EventRows(Protocol):
    """Table `fun_ai_deploy_event`, append-only."""

    async def append(self, event: NewEvent) -> None:
        """Append in this transaction; `at` is the database's clock."""
        ...

    async def events_after(self, seq: int, limit: int) -> Sequence[Event]:
        """Committed events with a higher number, in order; numbers of open transactions are missing."""
        ...

    async def event_bounds(self) -> tuple[int, int]:
        """The lowest and highest number in the log; (0, 0) when it is empty."""
        ...

    async def delete_events(self, before: int, limit: int) -> int:
        """Delete up to `limit` events older than `before` (epoch ms); how many."""
        ...


class LogRows(Protocol):
    """Table `fun_ai_deploy_job_log`: a job's log as consecutive byte ranges."""

    async def append_log(self, job_id: str, offset: int, data: bytes) -> None:
        """Store the bytes that begin at `offset`; the caller holds the job's row and checked the offset."""
        ...

    async def read_log(self, job_id: str, offset: int, limit: int) -> bytes:
        """At most about `limit` bytes from `offset`; empty at the end."""
        ...


class ReleaseRows(Protocol):
    """Table `fun_ai_deploy_release`: what each app ran, numbered from 1."""

    async def releases(self, app_id: str, before: int, limit: int) -> Sequence[Release]:
        """The app's releases with a number below `before`, newest first."""
        ...

    async def release(self, app_id: str, number: int) -> Release | None:
        """One release."""
        ...

    async def releases_with_images(self, app_id: str) -> Sequence[Release]:
        """Those whose image was not removed, newest first; at most a thousand."""
        ...

    async def insert_release(self, release: Release) -> bool:
        """False when the number is taken or the job has made one already."""
        ...

    async def mark_release(self, release: Release) -> None:
        """Write whether it is pinned, held, and still has its image; nothing else of a release changes."""
        ...

    async def delete_releases(self, app_id: str) -> int:
        """Forget the app's releases; how many."""
        ...


class ReviewRows(Protocol):
    """Table `fun_ai_deploy_image_review`: apps whose images in the registry are to be reviewed."""

    async def review(self, app_id: str) -> Review | None:
        """The review the app waits for."""
        ...

    async def ask_review(self, app_id: str, user_id: str | None, not_before: int) -> None:
        """Insert, or start over; `user_id` is set when the app's whole repository may go."""
        ...

    async def due_reviews(self, limit: int, now: int) -> Sequence[Review]:
        """Those that may start, the longest waiting first, locked, held rows skipped."""
        ...

    async def save_review(self, review: Review, was: Review) -> bool:
        """Write its times and error, at the version after `was`; False when somebody asked for another in between."""
        ...

    async def delete_review(self, review: Review) -> bool:
        """False when somebody asked for another in between."""
        ...


class Transaction(
    JobRows,
    IdempotencyRows,
    NodeRows,
    PlacementRows,
    AppRunRows,
    RunnerRows,
    EventRows,
    LogRows,
    ReleaseRows,
    ReviewRows,
    Protocol,
):
    """One open transaction."""

    async def now(self) -> int:
        """The database's clock in epoch milliseconds."""
        ...


class Store(Protocol):
    """The database."""

    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Run `work` in one transaction and commit; run it again after a deadlock or a lock timeout.

        Raises StoreUnavailable when the database does not answer in time, and OutcomeUnknown when the commit itself
        failed.
        """
        ...

    async def check(self) -> None:
        """Raises StoreUnavailable unless the database answers now."""
        ...


class StoreUnavailable(Exception):
    """The database does not answer; nothing was changed."""


class OutcomeUnknown(StoreUnavailable):
    """The commit failed on the way: the change may or may not have happened."""


class Agent(Protocol):
    """Runtime agents, by their base URL."""

    async def stop(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        """The agent's answer, verbatim. Raises AgentFailed."""
        ...

    async def delete(self, base_url: str, user_id: str, app_id: str, fence: int) -> Mapping[str, object]:
        """The agent's answer, verbatim. Raises AgentFailed."""
        ...

    async def images(self, base_url: str, user_id: str, app_id: str) -> Sequence[str]:
        """Every reference of the app's own images that the node has. Raises AgentFailed."""
        ...


class AgentFailed(Exception):
    """An agent refused or could not be reached."""


class ImageRegistry(Protocol):
    """The registry that images are pushed to; every method raises RegistryFailed.

    A repository is named without the registry's host.
    """

    async def has(self, repository: str, digest: str) -> bool:
        """Whether the image can be pulled by its digest."""
        ...

    async def delete(self, repository: str, digest: str) -> None:
        """Remove one image and every tag of it; an absent one is no error."""
        ...

    async def delete_repository(self, repository: str) -> None:
        """Remove every tagged image of a repository; an absent one is no error."""
        ...


class RegistryFailed(Exception):
    """The registry refused or could not be reached."""
