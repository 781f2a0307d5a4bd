"""The part of the control plane's twin that pages read: what the snapshot does not hold."""

from protocol.apps import AppCondition, AppPage, AppView
from protocol.audit import AuditEntry, AuditPage, AuditQuery
from protocol.drains import DrainDetail, DrainMove, DrainState, MoveState
from protocol.events import Snapshot
from protocol.jobs import JobPage, JobStatus, JobView, StageView
from protocol.nodes import AppHealth, DiskCollection, DiskLevel, NodeView, NodeVitals, UnwellApp
from protocol.operations import OperationState
from protocol.replicas import SingletonView
from protocol.running import AppStats, NodeStats
from protocol.webhooks import DeliveryState
from tests.console.samples import NOW, ago
from tests.console.twin_changes import Changes, delivery, operation, plan


def entry(seq: int, kind: str = "job", change: str = "created", subject: str = "7c1e09aa-11d0") -> AuditEntry:
    return AuditEntry(
        seq=seq,
        at=ago(1000 - seq),
        kind=kind,
        change=change,
        subject=subject,
        actor="api",
        source_address="10.0.0.9",
        before={"status": "PENDING"},
        after={"status": "RUNNING"},
    )


def stats(app_id: str, user_id: str = "1") -> AppStats:
    return AppStats(
        app_id=app_id,
        user_id=user_id,
        container=f"u{user_id}-app{app_id}",
        running=True,
        cpu_pct=12.5,
        memory_bytes=180_000_000,
        memory_limit_bytes=512_000_000,
        processes=11,
        received_bytes=4_200_000,
        sent_bytes=88_000_000,
        disk_bytes=3_100_000,
    )


def _with_stages(job: JobView) -> JobView:
    if job.id != "e8f7a630-2222":
        return job
    stages = (
        StageView(attempt=1, phase="CLONE", outcome="DONE", started_at=ago(3_890), ended_at=ago(3_884), bytes=52_481),
        StageView(attempt=1, phase="BUILD", outcome="UNFINISHED", started_at=ago(3_884)),
        StageView(attempt=2, phase="CLONE", outcome="REUSED", started_at=ago(3_850), ended_at=ago(3_849)),
        StageView(attempt=2, phase="BUILD", outcome="FAILED", started_at=ago(3_849), ended_at=ago(3_800)),
    )
    advice = "\nWhat to do: run npm install and commit package-lock.json"
    return job.model_copy(update={"stages": stages, "error_message": f"{job.error_message}{advice}"})


def _with_vitals(node: NodeView) -> NodeView:
    if node.node_id != 1:
        return node
    unwell = UnwellApp(app_id="20007", health=AppHealth.UNHEALTHY, reason="GET / answered 500 three times")
    collection = DiskCollection(number=4, at=ago(600), freed_bytes=12_400_000_000, images=9, logs=2)
    vitals = NodeVitals(load1=1.4, cpus=8, collection=collection, unwell=(unwell,), unwell_total=1)
    inodes = {"inodes_free_pct": 81.0, "inodes_total": 12_000_000, "inodes_free": 9_720_000}
    return node.model_copy(update={"vitals": vitals, "disk_level": DiskLevel.OK, **inodes})


class Shelves(Changes):
    """`entries` is the audit log, newest first; `page_size` how many of anything a page holds; `asked` what was read
    and from which cursor on."""

    state: Snapshot

    def __init__(self) -> None:
        super().__init__()
        self.entries: tuple[AuditEntry, ...] = ()
        self.page_size = 200
        self.asked: list[tuple[str, str | None]] = []

    def furnish(self) -> None:
        """Something of everything."""
        self.entries = tuple(entry(100 - number) for number in range(12))
        counts = {MoveState.MOVED: 3, MoveState.MOVING: 1, MoveState.PENDING: 2}
        said = {"counts": counts, "summary": "3 of 6 apps were moved, 1 is moving", "node": "rt-node-03", "node_id": 3}
        moves = (
            DrainMove(
                app_id="20003", state=MoveState.MOVED, target_node_id=1, job_id="e8f7a630-2222", updated_at=ago(90)
            ),
            DrainMove(
                app_id="20007", state=MoveState.MOVING, target_node_id=1, job_id="5d52ab10-0001", updated_at=ago(5)
            ),
            DrainMove(app_id="20009", state=MoveState.PENDING, message="2 move at a time", updated_at=ago(200)),
        )
        self.plans = (
            plan(7).model_copy(update={**said, "moves": moves}),
            plan(6, DrainState.PAUSED, "rt-node-02").model_copy(update={"node_id": 2, "created_at": ago(5_000)}),
            plan(5, DrainState.DONE).model_copy(update={"created_at": ago(90_000)}),
        )
        self.state = self.state.model_copy(
            update={
                "jobs": tuple(_with_stages(each) for each in self.state.jobs),
                "nodes": tuple(_with_vitals(each) for each in self.state.nodes),
            }
        )
        waiting = {"message": "the node is silent", "attempts": 6, "next_attempt_at": NOW, "node_id": 4}
        self.to_do = (operation(9, "20005").model_copy(update=waiting), operation(8, "20001", OperationState.DONE))
        given_up = {"status": 500, "message": "the receiver answered with an error", "attempts": 12}
        self.results = (
            delivery(4, "20003").model_copy(update=given_up),
            delivery(3, "20007", DeliveryState.DELIVERED),
        )

    async def drain_plan(self, drain_id: int) -> DrainDetail:
        self._reached()
        return next(each for each in self.plans if each.id == drain_id)

    async def audit(self, wanted: AuditQuery | None = None, *, cursor: str | None = None, limit: int = 50) -> AuditPage:
        self._reached()
        self.asked.append(("audit", cursor))
        rest = [each for each in self.entries if cursor is None or each.seq < int(cursor)]
        page = rest[: self.page_size]
        more = str(page[-1].seq) if len(rest) > len(page) else None
        return AuditPage(items=tuple(page), next_cursor=more)

    async def apps(
        self, *, user_id: str | None = None, node_id: int | None = None, cursor: str | None = None, limit: int = 50
    ) -> AppPage:
        self._reached()
        self.asked.append(("apps", cursor))
        names = {each.node_id: each.name for each in self.state.nodes}
        states = {"20003": AppCondition.CRASHED, "20001": AppCondition.DEPLOYING}
        items = tuple(
            AppView(
                app_id=each.app_id,
                user_id="1",
                condition=states.get(each.app_id, AppCondition.RUNNING),
                message="its container ended with exit code 1" if each.app_id == "20003" else None,
                node_id=each.node_id,
                node_name=names.get(each.node_id),
                release=4 if each.app_id == "20007" else None,
                commit="0123456789ab" + "0" * 28 if each.app_id == "20007" else None,
            )
            for each in sorted(self.state.placements, key=lambda each: each.app_id)
            if cursor is None or each.app_id > cursor
        )
        page = items[: self.page_size]
        return AppPage(items=page, next_cursor=page[-1].app_id if len(items) > len(page) else None)

    async def page(
        self,
        *,
        cursor: str | None = None,
        limit: int = 50,
        status: JobStatus | None = None,
        app_id: str | None = None,
        user_id: str | None = None,
    ) -> JobPage:
        self._reached()
        jobs = sorted(self.state.jobs, key=lambda each: each.created_at, reverse=True)
        return JobPage(items=tuple(each for each in jobs if app_id in (None, each.app_id)))

    async def app_stats(self, app_id: str) -> NodeStats:
        self._reached()
        return NodeStats(node="rt-node-01", items=(stats(app_id),))

    async def node_stats(self, name: str) -> NodeStats:
        self._reached()
        number = next(each.node_id for each in self.state.nodes if each.name == name)
        placed = [each.app_id for each in self.state.placements if each.node_id == number]
        return NodeStats(node=name, items=tuple(stats(app_id) for app_id in placed))

    async def singletons(self) -> tuple[SingletonView, ...]:
        self._reached()
        return (SingletonView(name="reaper", holder="deploy-1", epoch=3, since=ago(4000), lease_until=NOW, held=True),)
