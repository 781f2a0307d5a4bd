"""What operators see of the replicas: who does the work that only one of them does."""

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from daemons.deploy.domain.views import singleton_view
from daemons.deploy.services.singletons import Singletons
from daemons.kit.bodies import reply
from daemons.kit.openapi import Answers
from protocol.replicas import SingletonView


class ReplicaRoutes:
    """`/admin/singletons`, and the gauge of what this replica holds."""

    def __init__(self, singletons: Singletons, registry: CollectorRegistry) -> None:
        self._singletons = singletons
        self._held = Gauge(
            "funai_deploy_singleton_held", "Whether this replica does the work", ["singleton"], registry=registry
        )

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/admin/singletons", self.list_singletons)]

    @Answers(list[SingletonView])
    async def list_singletons(self, _request: web.Request) -> web.Response:
        """Who does what."""
        now, holdings = await self._singletons.holdings()
        return reply([singleton_view(holding, now) for holding in holdings])

    async def refresh(self) -> None:
        """Set the gauge; across all replicas its sum per name is 1."""
        for name, holds in self._singletons.holds.items():
            self._held.labels(name).set(holds)
