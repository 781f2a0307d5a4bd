"""Clients of the deploy control plane, one class per kind of caller: each holds one secret and the calls it opens."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from pydantic import TypeAdapter

from protocol import headers
from protocol.apps import AppCleaned, AppCommand, AppPage, AppPurged, AppStopped, AppView
from protocol.audit import AuditPage, AuditQuery
from protocol.base import LATE
from protocol.client.jobs import JobReads
from protocol.client.running import SILENCE_SECONDS, RunningCalls
from protocol.client.shell import ShellCalls
from protocol.client.stream import events
from protocol.drains import DrainDetail, DrainPage, DrainPreview, PreviewDrain, StartDrain
from protocol.events import AnyEvent, Snapshot
from protocol.inventory import AppInventory, InventoryResult, StrayReport
from protocol.jobs import (
    CreateJob,
    JobView,
    RetryJob,
    TransitionJob,
)
from protocol.nodes import (
    CollectNode,
    DrainNode,
    DrainResult,
    NodeCollected,
    NodeRemoved,
    NodeView,
    PlacementPage,
    ReassignApp,
    RunnerView,
    UpsertNode,
)
from protocol.operations import OperationPage, OperationState, OperationView
from protocol.releases import ReleasePage, ReleaseView, RollbackApp, RollbackJob
from protocol.replicas import SingletonView
from protocol.running import AppLogQuery
from protocol.webhooks import DeliveryPage, DeliveryState, DeliveryView

_NODES: Final = TypeAdapter(tuple[NodeView, ...], config=LATE)
_RUNNERS: Final = TypeAdapter(tuple[RunnerView, ...], config=LATE)
_SINGLETONS: Final = TypeAdapter(tuple[SingletonView, ...], config=LATE)


def _given(idempotency_key: str | None = None, expected: str | None = None) -> dict[str, str]:
    """The headers of a change: it is made once, and only if its object is still what `expected` says."""
    named = {headers.IDEMPOTENCY_KEY: idempotency_key, headers.EXPECTED_VERSION: expected}
    return {name: value for name, value in named.items() if value}


class JobsClient(JobReads):
    """Jobs and apps, for the API (deploy secret) and for operators (admin token): both open these routes.

    Whoever decided by what he saw passes its version (`protocol.versions`) as `expected`: the change is refused 409
    `changed` when the object is no longer like that.
    """

    async def create(self, order: CreateJob, *, idempotency_key: str | None = None) -> JobView:
        """A new job; with a key, the one that the first request with it made. Raises Refused 409 `app_busy` while a
        job of the app is active that the order does not supersede, `idempotency_mismatch` for the key of another
        request."""
        return await self.transport.call("POST", "/deploy/jobs", JobView, body=order, headers=_given(idempotency_key))

    async def retry(
        self,
        job_id: str,
        order: RetryJob | None = None,
        *,
        idempotency_key: str | None = None,
        expected: str | None = None,
    ) -> JobView:
        """A new job with the order of one that failed or was cancelled; keys and conflicts as in `create`. Raises
        Refused 409 `illegal_transition` for a job in any other state."""
        path, body = f"/deploy/jobs/{job_id}/retry", order or RetryJob()
        given = _given(idempotency_key, expected)
        return await self.transport.call("POST", path, JobView, body=body, headers=given)

    async def transition(self, job_id: str, order: TransitionJob, *, expected: str | None = None) -> JobView:
        """Move a job by hand; illegal moves are refused 409."""
        path = f"/deploy/jobs/{job_id}/transition"
        return await self.transport.call("POST", path, JobView, body=order, headers=_given(expected=expected))

    async def cancel(self, job_id: str, *, expected: str | None = None) -> JobView:
        """Idempotent; refused 409 once the job ended or its attempt is going live."""
        path = f"/deploy/jobs/{job_id}/cancel"
        return await self.transport.call("POST", path, JobView, headers=_given(expected=expected))

    async def stop_app(self, command: AppCommand, *, expected: str | None = None) -> AppStopped:
        """Stop the app on its node."""
        given = _given(expected=expected)
        return await self.transport.call(
            "POST", "/deploy/apps/stop", AppStopped, body=command, headers=given, seconds=60
        )

    async def purge_app(self, command: AppCommand) -> AppPurged:
        """Delete what the control plane knows of the app."""
        return await self.transport.call("POST", "/deploy/apps/purge", AppPurged, body=command)

    async def cleanup_app(self, command: AppCommand) -> AppCleaned:
        """Delete the app on its node and what is known of it; the answer says what succeeded."""
        return await self.transport.call("POST", "/deploy/apps/cleanup", AppCleaned, body=command, seconds=60)

    async def apps(
        self, *, user_id: str | None = None, node_id: int | None = None, cursor: str | None = None, limit: int = 50
    ) -> AppPage:
        """Apps with their state, by id, a page at a time."""
        query: Mapping[str, str | int | None] = {"userId": user_id, "nodeId": node_id, "cursor": cursor, "limit": limit}
        return await self.transport.call("GET", "/deploy/apps", AppPage, query=query)

    async def app(self, app_id: str) -> AppView:
        """One app with its state. Raises Refused 404 when nothing is known of it."""
        return await self.transport.call("GET", f"/deploy/apps/{app_id}", AppView)

    async def operations(
        self,
        *,
        state: OperationState | None = None,
        app_id: str | None = None,
        user_id: str | None = None,
        node_id: int | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> OperationPage:
        """Stops and deletes that nodes have to carry out or did, newest first, a page at a time."""
        query: Mapping[str, str | int | None] = {
            "state": state.value if state else None,
            "appId": app_id,
            "userId": user_id,
            "nodeId": node_id,
            "cursor": cursor,
            "limit": limit,
        }
        return await self.transport.call("GET", "/deploy/operations", OperationPage, query=query)

    async def inventory(self, inventory: AppInventory) -> InventoryResult:
        """Tell which apps exist. Unless it is a dry run, all others are deleted. Raises Refused 422
        `inventory_refused` when it may not be the whole truth, 409 `too_many_orphans` when the number of apps to be
        deleted has to be confirmed."""
        return await self.transport.call("POST", "/deploy/apps/inventory", InventoryResult, body=inventory, seconds=120)

    async def releases(self, app_id: str, *, cursor: str | None = None, limit: int = 50) -> ReleasePage:
        """The app's releases, newest first, a page at a time."""
        query: Mapping[str, str | int | None] = {"cursor": cursor, "limit": limit}
        return await self.transport.call("GET", f"/deploy/apps/{app_id}/releases", ReleasePage, query=query)

    async def rollback(
        self, app_id: str, order: RollbackApp, *, idempotency_key: str | None = None, expected: str | None = None
    ) -> RollbackJob:
        """A job that deploys an earlier release without a build. Raises Refused 404 when there is none, 409
        `image_gone`, `image_mutable` or `app_busy`."""
        given, path = _given(idempotency_key, expected), f"/deploy/apps/{app_id}/rollback"
        return await self.transport.call("POST", path, RollbackJob, body=order, headers=given, seconds=60)

    @asynccontextmanager
    async def output_bytes(self, app_id: str, asked: AppLogQuery) -> AsyncIterator[AsyncIterator[bytes]]:
        """What the app writes, as server-sent events of `AppLogEvent`, for whoever passes them on. Entering raises as
        `AdminClient.app_log`."""
        query: Mapping[str, str | int | None] = {**asked.to_data(), "follow": 1 if asked.follow else None}
        path = f"/deploy/apps/{app_id}/log"
        async with self.transport.stream(path, query=query, silence_seconds=SILENCE_SECONDS) as response:
            yield response.aiter_raw()

    async def pin_release(self, app_id: str, number: int, *, pinned: bool) -> ReleaseView:
        """Keep a release's image for good, or (with `pinned` false) only as long as it is one of the newest."""
        verb = "pin" if pinned else "unpin"
        return await self.transport.call("POST", f"/deploy/apps/{app_id}/releases/{number}/{verb}", ReleaseView)


class AdminClient(RunningCalls, ShellCalls, JobsClient):
    """Everything operators do."""

    async def snapshot(self) -> Snapshot:
        """Jobs, nodes, runners and placements as of one event number."""
        return await self.transport.call("GET", "/admin/snapshot", Snapshot)

    async def nodes(self) -> tuple[NodeView, ...]:
        """All runtime nodes."""
        return await self.transport.call("GET", "/admin/runtime-nodes/list", _NODES)

    async def runners(self) -> tuple[RunnerView, ...]:
        """All runners."""
        return await self.transport.call("GET", "/admin/runners/list", _RUNNERS)

    async def set_drained(self, runner_id: str, *, drained: bool, expected: str | None = None) -> RunnerView:
        """Let a runner take no more work and finish what it holds, or (with `drained` false) take work again."""
        query: Mapping[str, str | int | None] = {"runnerId": runner_id, "drained": "true" if drained else "false"}
        path, given = "/admin/runners/set-drained", _given(expected=expected)
        return await self.transport.call("POST", path, RunnerView, query=query, headers=given)

    async def singletons(self) -> tuple[SingletonView, ...]:
        """Which replica does the work that only one of them does."""
        return await self.transport.call("GET", "/admin/singletons", _SINGLETONS)

    async def placements(self, node_id: int, *, offset: int = 0, limit: int = 200) -> PlacementPage:
        """One page of a node's placements."""
        query: Mapping[str, str | int | None] = {"nodeId": node_id, "offset": offset, "limit": limit}
        return await self.transport.call("GET", "/admin/runtime-nodes/placements", PlacementPage, query=query)

    async def upsert_node(self, order: UpsertNode) -> NodeView:
        """Register or edit a node."""
        return await self.transport.call("POST", "/admin/runtime-nodes/upsert", NodeView, body=order)

    async def set_enabled(self, name: str, *, enabled: bool, expected: str | None = None) -> str:
        """Cordon (false) or uncordon (true) a node: a disabled node gets no new deployment."""
        query: Mapping[str, str | int | None] = {"name": name, "enabled": "true" if enabled else "false"}
        path, given = "/admin/runtime-nodes/set-enabled", _given(expected=expected)
        return await self.transport.call("POST", path, str, query=query, headers=given)

    async def collect(self, name: str, *, expected: str | None = None) -> NodeCollected:
        """Have a node remove what nobody needs. Raises Refused 404 for a node that there is not, 502 when its agent
        does not do it."""
        path, given = "/admin/runtime-nodes/collect", _given(expected=expected)
        return await self.transport.call("POST", path, NodeCollected, body=CollectNode(name=name), headers=given)

    async def retry_operation(self, number: int) -> OperationView:
        """Have a pending operation tried now. Raises Refused 409 once it ended."""
        return await self.transport.call("POST", f"/admin/operations/{number}/retry", OperationView)

    async def abandon_operation(self, number: int) -> OperationView:
        """Give a pending operation up: the app may go on running on its node. Raises Refused 409 once it ended."""
        return await self.transport.call("POST", f"/admin/operations/{number}/abandon", OperationView)

    async def webhooks(
        self,
        *,
        state: DeliveryState | None = None,
        app_id: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeliveryPage:
        """Deliveries of job results, newest first, a page at a time."""
        query: Mapping[str, str | int | None] = {
            "state": state.value if state else None,
            "appId": app_id,
            "cursor": cursor,
            "limit": limit,
        }
        return await self.transport.call("GET", "/admin/webhooks", DeliveryPage, query=query)

    async def retry_webhook(self, number: int) -> DeliveryView:
        """Have a delivery that waits or was given up sent now. Raises Refused 409 once its receiver has it."""
        return await self.transport.call("POST", f"/admin/webhooks/{number}/retry", DeliveryView)

    async def delete_node(self, name: str, *, force: bool = False, readmit: bool = False) -> NodeRemoved:
        """Delete a node. Raises Refused 409 `node_in_use`, saying what stands in the way, unless `force`; then what
        hangs on it is given up. Its agent is refused from then on, unless `readmit`."""
        query: Mapping[str, str | int | None] = {"force": str(force).lower(), "readmit": str(readmit).lower()}
        return await self.transport.call("DELETE", f"/admin/runtime-nodes/{name}", NodeRemoved, query=query, seconds=60)

    async def strays(self, node: str | None = None) -> StrayReport:
        """Containers that nobody answers for, on all nodes or on one; asks the nodes, which takes some seconds."""
        return await self.transport.call("GET", "/admin/strays", StrayReport, query={"node": node}, seconds=60)

    async def reassign(self, order: ReassignApp, *, expected: str | None = None) -> str:
        """Move one placement."""
        path, given = "/admin/runtime-nodes/reassign", _given(expected=expected)
        return await self.transport.call("POST", path, str, body=order, headers=given)

    async def drain(self, order: DrainNode) -> DrainResult:
        """Move placements from one node to another."""
        return await self.transport.call("POST", "/admin/runtime-nodes/drain", DrainResult, body=order)

    async def preview_drain(self, order: PreviewDrain) -> DrainPreview:
        """What a drain of the node would do now; nothing is changed."""
        path = "/admin/drains/preview"
        return await self.transport.call("POST", path, DrainPreview, body=order, seconds=60)

    async def start_drain(self, order: StartDrain, *, expected: str | None = None) -> DrainDetail:
        """Cordon the node and move its apps away. Raises Refused 409 `drain_live` or `drain_does_not_fit`."""
        given = _given(expected=expected)
        return await self.transport.call("POST", "/admin/drains", DrainDetail, body=order, headers=given, seconds=60)

    async def drains(self, *, cursor: str | None = None, limit: int = 50) -> DrainPage:
        """Plans, newest first, a page at a time."""
        query: Mapping[str, str | int | None] = {"cursor": cursor, "limit": limit}
        return await self.transport.call("GET", "/admin/drains", DrainPage, query=query)

    async def drain_plan(self, drain_id: int) -> DrainDetail:
        """One plan with its moves."""
        return await self.transport.call("GET", f"/admin/drains/{drain_id}", DrainDetail)

    async def pause_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Start no further move; what moves goes on."""
        path, given = f"/admin/drains/{drain_id}/pause", _given(expected=expected)
        return await self.transport.call("POST", path, DrainDetail, headers=given)

    async def resume_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Go on with a paused plan."""
        path, given = f"/admin/drains/{drain_id}/resume", _given(expected=expected)
        return await self.transport.call("POST", path, DrainDetail, headers=given)

    async def undo_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Move back what was moved, drop the rest, and uncordon the node if it was not cordoned before."""
        path, given = f"/admin/drains/{drain_id}/undo", _given(expected=expected)
        return await self.transport.call("POST", path, DrainDetail, headers=given)

    async def cancel_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Skip every move that has not begun; the node stays cordoned."""
        path, given = f"/admin/drains/{drain_id}/cancel", _given(expected=expected)
        return await self.transport.call("POST", path, DrainDetail, headers=given)

    async def audit(self, wanted: AuditQuery | None = None, *, cursor: str | None = None, limit: int = 50) -> AuditPage:
        """What was changed, by whom and from where, newest first. A page may be empty and yet name a next one: each
        looks at a bounded part of the log."""
        asked = (wanted or AuditQuery()).to_data()
        query: Mapping[str, str | int | None] = {**asked, "cursor": cursor, "limit": limit}
        return await self.transport.call("GET", "/admin/audit", AuditPage, query=query)

    async def follow(self, after: int) -> AsyncIterator[AnyEvent]:
        """Events after number `after`, until the connection ends; beats arrive while nothing happens."""
        last = {headers.LAST_EVENT_ID: str(after)}
        async with self.transport.stream("/admin/events", headers=last, silence_seconds=15) as response:
            async for event in events(response):
                yield event
