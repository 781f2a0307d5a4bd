"""The part of the control plane's twin that actions change: it notes what it was asked and answers from what it has."""

from protocol.apps import AppCommand, AppCondition, AppStopped, AppView
from protocol.client.transport import Refused
from protocol.drains import DrainDetail, DrainKind, DrainPage, DrainPreview, DrainState, PreviewDrain, StartDrain
from protocol.jobs import JobView, RetryJob
from protocol.nodes import NodeCollected, ReassignApp, RunnerHealth, RunnerView
from protocol.operations import OperationKind, OperationPage, OperationState, OperationView
from protocol.releases import PresentIn, ReleasePage, ReleaseView, RollbackApp, RollbackJob
from protocol.webhooks import DeliveryPage, DeliveryState, DeliveryView
from tests.console.samples import NOW, job


def release(number: int, *, current: bool = False, pinned: bool = False, app: str = "20001") -> ReleaseView:
    return ReleaseView(
        app_id=app,
        user_id="1",
        number=number,
        current=current,
        pinned=pinned,
        image=f"registry/u1-app{app}:{number}",
        config_hash="c",
        container_port=3000,
        base_path=f"/runtime/{app}",
        health_check_path="/",
        job_id=f"job-of-{number}",
        created_at=NOW,
    )


def plan(drain_id: int, state: DrainState = DrainState.RUNNING, node: str = "rt-node-01") -> DrainDetail:
    return DrainDetail(
        id=drain_id,
        kind=DrainKind.DRAIN,
        state=state,
        node_id=1,
        node=node,
        max_parallel=2,
        partial=False,
        actor="admin",
        summary=f"0 of 2 apps were moved, {state.value.lower()}",
        counts={},
        created_at=NOW,
        updated_at=NOW,
    )


def operation(number: int, app: str, state: OperationState = OperationState.PENDING) -> OperationView:
    return OperationView(
        id=number,
        kind=OperationKind.STOP,
        app_id=app,
        user_id="1",
        node_id=1,
        fence=1,
        cause="stop",
        actor="admin",
        state=state,
        created_at=NOW,
        updated_at=NOW,
    )


def delivery(number: int, app: str, state: DeliveryState = DeliveryState.FAILED) -> DeliveryView:
    return DeliveryView(
        id=number,
        delivery_id=f"d{number}",
        event="job.failed",
        app_id=app,
        job_id="e8f7a630-2222",
        state=state,
        created_at=NOW,
        updated_at=NOW,
    )


class Changes:
    """`refusal` is raised by every change; `expected` and `keys` are the versions and idempotency keys that came."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.expected: list[str | None] = []
        self.keys: list[str | None] = []
        self.refusal: Refused | None = None
        self.history: tuple[ReleaseView, ...] = (release(3, current=True), release(2), release(1))
        self.plans: tuple[DrainDetail, ...] = ()
        self.to_do: tuple[OperationView, ...] = ()
        self.results: tuple[DeliveryView, ...] = ()
        self.outlook = DrainPreview(node_id=1, node="rt-node-01", fits=True, explanation="every app has a place to go")

    def _reached(self) -> None:
        raise NotImplementedError

    def _asked(self, expected: str | None) -> None:
        self._reached()
        self.expected.append(expected)
        if self.refusal is not None:
            raise self.refusal

    async def retry(
        self,
        job_id: str,
        order: RetryJob | None = None,
        *,
        idempotency_key: str | None = None,
        expected: str | None = None,
    ) -> JobView:
        self._asked(expected)
        self.keys.append(idempotency_key)
        self.calls.append(("retry", job_id))
        return job("again000-0001", retry_of=job_id)

    async def start_drain(self, order: StartDrain, *, expected: str | None = None) -> DrainDetail:
        self._asked(expected)
        self.calls.append(("start_drain", order.node, str(order.partial)))
        return plan(7, node=order.node)

    async def _turned(self, verb: str, drain_id: int, state: DrainState, expected: str | None) -> DrainDetail:
        self._asked(expected)
        self.calls.append((verb, str(drain_id)))
        return plan(drain_id, state)

    async def pause_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        return await self._turned("pause_drain", drain_id, DrainState.PAUSED, expected)

    async def resume_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        return await self._turned("resume_drain", drain_id, DrainState.RUNNING, expected)

    async def undo_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        return await self._turned("undo_drain", drain_id, DrainState.UNDOING, expected)

    async def cancel_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        return await self._turned("cancel_drain", drain_id, DrainState.DONE, expected)

    async def collect(self, name: str, *, expected: str | None = None) -> NodeCollected:
        self._asked(expected)
        self.calls.append(("collect", name))
        return NodeCollected(freed_bytes=12_400_000_000, images=9, logs=2)

    async def set_drained(self, runner_id: str, *, drained: bool, expected: str | None = None) -> RunnerView:
        self._asked(expected)
        self.calls.append(("set_drained", runner_id, str(drained)))
        return RunnerView(runner_id=runner_id, last_seen_at_ms=0, health=RunnerHealth.HEALTHY)

    async def reassign(self, order: ReassignApp, *, expected: str | None = None) -> str:
        self._asked(expected)
        self.calls.append(("reassign", order.app_id, str(order.target_node_id)))
        return "ok"

    async def stop_app(self, command: AppCommand, *, expected: str | None = None) -> AppStopped:
        self._asked(expected)
        self.calls.append(("stop_app", command.app_id, command.user_id))
        user, app = int(command.user_id), command.app_id
        return AppStopped(app_id=app, user_id=user, node_id=1, agent_base_url="", runtime={}, operations=())

    async def rollback(
        self, app_id: str, order: RollbackApp, *, idempotency_key: str | None = None, expected: str | None = None
    ) -> RollbackJob:
        self._asked(expected)
        self.keys.append(idempotency_key)
        self.calls.append(("rollback", app_id, str(order.release)))
        made = job("back0000-0001", app=app_id)
        known = {name: getattr(made, name) for name in JobView.model_fields}
        return RollbackJob(**known, release=order.release or 1, present_in=PresentIn.REGISTRY)

    async def pin_release(self, app_id: str, number: int, *, pinned: bool) -> ReleaseView:
        self._asked(None)
        self.calls.append(("pin_release", app_id, str(number), str(pinned)))
        return release(number, pinned=pinned, app=app_id)

    async def retry_operation(self, number: int) -> OperationView:
        self._asked(None)
        self.calls.append(("retry_operation", str(number)))
        return operation(number, "20001")

    async def abandon_operation(self, number: int) -> OperationView:
        self._asked(None)
        self.calls.append(("abandon_operation", str(number)))
        return operation(number, "20001", OperationState.ABANDONED)

    async def retry_webhook(self, number: int) -> DeliveryView:
        self._asked(None)
        self.calls.append(("retry_webhook", str(number)))
        return delivery(number, "20001")

    # What is read

    async def releases(self, app_id: str, *, cursor: str | None = None, limit: int = 50) -> ReleasePage:
        self._reached()
        return ReleasePage(app_id=app_id, items=self.history)

    async def preview_drain(self, order: PreviewDrain) -> DrainPreview:
        self._reached()
        return self.outlook

    async def drains(self, *, cursor: str | None = None, limit: int = 50) -> DrainPage:
        self._reached()
        return DrainPage(items=self.plans)

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
        self._reached()
        return OperationPage(items=tuple(each for each in self.to_do if app_id in (None, each.app_id)))

    async def webhooks(
        self,
        *,
        state: DeliveryState | None = None,
        app_id: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> DeliveryPage:
        self._reached()
        return DeliveryPage(items=tuple(each for each in self.results if app_id in (None, each.app_id)))

    async def app(self, app_id: str) -> AppView:
        self._reached()
        return AppView(app_id=app_id, user_id="1", condition=AppCondition.RUNNING)
