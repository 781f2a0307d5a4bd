"""What runners and the control plane ask of this node."""

from collections.abc import Sequence
from typing import Final, Literal

from aiohttp import web

from daemons.agent.domain.apps import Instance
from daemons.agent.domain.configuration import Restart, RunConfig
from daemons.agent.domain.images import require_allowed
from daemons.agent.domain.steps import Strategy
from daemons.agent.services.apps import Apps, Removal, Standing
from daemons.agent.services.heartbeat import Heartbeat
from daemons.agent.services.recovery import Recovery
from daemons.agent.services.rollout import Order, Rollout, Wishes
from daemons.kit.bodies import bare, number, query, read
from daemons.kit.openapi import TEXT, Answers
from protocol.apps import (
    AppRef,
    AppStatus,
    AppStatusList,
    DeletedApp,
    DeployApp,
    DeployedApp,
    LocalImages,
    MongoOutcome,
    NodeContainer,
    NodeContainers,
    RemovedImages,
    RunCondition,
    StoppedApp,
)
from protocol.configuration import AppConfig
from protocol.names import image_registry, public_path

_NANO_PER_MILLI: Final = 10**6


class AppRoutes:
    """`/agent/apps/*`."""

    def __init__(
        self,
        rollout: Rollout,
        apps: Apps,
        recovery: Recovery,
        heartbeat: Heartbeat,
        gateway_url: str,
        registries: Sequence[str] = (),
    ) -> None:
        self._rollout = rollout
        self._apps = apps
        self._recovery = recovery
        self._heartbeat = heartbeat
        self._gateway_url = gateway_url.rstrip("/")
        self._registries = registries

    def table(self) -> list[web.RouteDef]:
        """The routes, for callers with the runtime token."""
        return [
            web.post("/agent/apps/deploy", self.deploy),
            web.post("/agent/apps/stop", self.stop),
            web.post("/agent/apps/delete", self.delete),
            web.get("/agent/apps/status", self.status),
            web.get("/agent/apps", self.every),
            web.get("/agent/apps/logs", self.logs),
            web.get("/agent/apps/images", self.images),
            web.get("/agent/apps/containers", self.containers),
        ]

    @Answers(DeployedApp, refuses=(403, 409, 500, 503))
    async def deploy(self, request: web.Request) -> web.Response:
        """Answered when the app is live, or why it is not."""
        body = await read(request, DeployApp)
        require_allowed(body.image, self._registries)
        self._recovery.check()
        try:
            instance = await self._rollout.deploy(_order(body))
        finally:
            self._heartbeat.soon()
        return bare(self._deployed(body, instance))

    @Answers(StoppedApp, refuses=(404, 409, 500, 503))
    async def stop(self, request: web.Request) -> web.Response:
        """Answered when the engine confirmed it."""
        body = await read(request, AppRef)
        self._recovery.check()
        await self._apps.stop(body.user_id, body.app_id, body.fence)
        return bare(StoppedApp(app_id=body.app_id))

    @Answers(DeletedApp, refuses=(404, 409, 500, 503))
    async def delete(self, request: web.Request) -> web.Response:
        """Answered when the engine confirmed it."""
        body = await read(request, AppRef)
        self._recovery.check()
        removal = await self._apps.delete(body.user_id, body.app_id, body.fence)
        return bare(_deleted(body.app_id, removal))

    @Answers(AppStatus, refuses=(500, 503))
    async def status(self, request: web.Request) -> web.Response:
        """What the engine says."""
        asked = query(request, AppRef)
        self._recovery.check()
        return bare(_status(await self._apps.status(asked.user_id, asked.app_id)))

    @Answers(media=TEXT, refuses=(404, 500, 503))
    async def logs(self, request: web.Request) -> web.Response:
        """The app's own output, as text."""
        asked = query(request, AppRef)
        tail = number(request, "tail", default=200, low=1, high=2000)
        self._recovery.check()
        text = await self._apps.logs(asked.user_id, asked.app_id, tail)
        headers = {"X-Content-Type-Options": "nosniff"}
        return web.Response(text=text, content_type="text/plain", charset="utf-8", headers=headers)

    @Answers(LocalImages, refuses=(500, 503))
    async def images(self, request: web.Request) -> web.Response:
        """What the engine has in the app's own repositories."""
        asked = query(request, AppRef)
        self._recovery.check()
        references = await self._apps.images(asked.user_id, asked.app_id)
        return bare(LocalImages(app_id=asked.app_id, images=tuple(references)))

    @Answers(NodeContainers, refuses=(500, 503))
    async def containers(self, _request: web.Request) -> web.Response:
        """What the engine has of ours."""
        self._recovery.check()
        found = [
            NodeContainer(name=each.name, user_id=each.user_id, app_id=each.app_id, running=each.running)
            for each in await self._apps.containers()
        ]
        return bare(NodeContainers(containers=tuple(found)))

    @Answers(AppStatusList, refuses=(500,))
    async def every(self, _request: web.Request) -> web.Response:
        """How every app of the node stands, for operators."""
        standings = await self._apps.every()
        return bare(AppStatusList(items=tuple(_status(standing) for standing in standings)))

    def _deployed(self, body: DeployApp, instance: Instance) -> DeployedApp:
        path = (body.base_path or public_path(body.app_id)).rstrip("/")
        url = f"{self._gateway_url}{path}/" if self._gateway_url else None
        return DeployedApp(
            app_id=body.app_id,
            container_name=instance.container,
            preview_url=url,
            watch_seconds=self._rollout.watch_seconds or None,
        )


class HealthRoutes:
    """The answers that existing callers know."""

    def table(self) -> list[web.RouteDef]:
        """Open to anyone."""
        return [web.get("/internal", self.alive), web.get("/internal/health", self.alive)]

    @Answers(dict[str, Literal[True]])
    async def alive(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return bare({"ok": True})


def _order(body: DeployApp) -> Order:
    return Order(
        user_id=body.user_id,
        app_id=body.app_id,
        image=body.image,
        from_registry=image_registry(body.image) is not None,
        container_port=body.container_port,
        health_path=body.health_check_path or "/",
        fence=body.fence,
        wishes=_wishes(body.config or AppConfig()),
    )


def _wishes(config: AppConfig) -> Wishes:
    secrets = {name: text for name, text in config.secrets.items() if text is not None}
    grace = config.stop_grace_seconds
    return Wishes(
        environment={**config.environment, **secrets},
        secrets=tuple(sorted(secrets)),
        memory_bytes=config.memory_bytes,
        nano_cpus=config.cpu_millis * _NANO_PER_MILLI if config.cpu_millis is not None else None,
        pids=config.pids_limit,
        stop_grace_seconds=grace if grace is not None else RunConfig().stop_grace_seconds,
        restart=Restart(config.restart_policy or Restart.ALWAYS),
        strategy=Strategy(config.strategy or Strategy.START_FIRST),
    )


def _milliseconds(seconds: float | None) -> int | None:
    return round(seconds * 1000) if seconds is not None else None


def _status(standing: Standing) -> AppStatus:
    trouble, setback = standing.trouble, standing.setback
    return AppStatus(
        app_id=standing.app_id,
        container_name=standing.container,
        exists=standing.state is not None,
        running=standing.state is not None and standing.state.running,
        image=standing.image if standing.state is not None else None,
        port=standing.port if standing.state is not None else None,
        fence=standing.fence,
        condition=RunCondition(standing.condition) if standing.condition is not None else None,
        reason=standing.reason,
        crashes=trouble.crashes if trouble is not None else None,
        restart_at=_milliseconds(trouble.restart_at) if trouble is not None else None,
        failed_fence=setback.fence if setback is not None else None,
        failed_reason=setback.reason if setback is not None else None,
        failed_at=_milliseconds(setback.at) if setback is not None else None,
        back_to=setback.back_to if setback is not None else None,
    )


def _deleted(app_id: str, removal: Removal) -> DeletedApp:
    images = RemovedImages(removed=removal.removed, kept=removal.kept, error=removal.problem)
    farewell = removal.database
    mongo = MongoOutcome(
        enabled=farewell.enabled,
        dropped=farewell.dropped,
        db_name=farewell.database,
        reason=farewell.reason,
        error=farewell.error,
    )
    return DeletedApp(app_id=app_id, images=images, mongo=mongo)
