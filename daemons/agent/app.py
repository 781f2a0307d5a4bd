"""The composition root of the runtime agent."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from daemons.agent.composition.databases import explorer_routes
from daemons.agent.composition.outside import Parts, open_parts
from daemons.agent.composition.services import Services, make_services
from daemons.agent.http.apps import AppRoutes, HealthRoutes
from daemons.agent.http.collection import CollectionRoutes
from daemons.agent.http.output import OutputRoutes
from daemons.agent.http.problems import PROBLEMS
from daemons.agent.http.shell import ShellRoutes
from daemons.agent.http.usage import UsageRoutes
from daemons.agent.http.visits import VisitRoutes
from daemons.agent.http.warming import WarmingRoutes
from daemons.agent.settings import AgentSettings
from daemons.kit.auth import ACCESS, Access, Gate
from daemons.kit.clock import SystemClock
from daemons.kit.daemon import MAX_BODY_BYTES
from daemons.kit.health import HealthRoutes as ReadyRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.openapi import ContractRoutes, check_described
from daemons.kit.problems import as_detail, problem_middleware
from daemons.kit.settings import revealed
from daemons.kit.tasks import background
from protocol import headers


async def build(settings: AgentSettings) -> web.Application:
    """The agent over a real engine, gateway and control plane."""
    stack = AsyncExitStack()
    app = build_app(settings, await open_parts(settings, stack))

    async def close(_app: web.Application) -> AsyncIterator[None]:
        async with stack:
            yield

    # First in, last out: the loops end before what they use is closed.
    app.cleanup_ctx.insert(0, close)
    return app


def build_app(settings: AgentSettings, parts: Parts) -> web.Application:
    """The agent's HTTP application with its loops, over any parts."""
    metrics = Metrics()
    services = make_services(settings, parts, metrics)
    app = web.Application(
        middlewares=[metrics.middleware(), problem_middleware(PROBLEMS, as_detail)],
        client_max_size=MAX_BODY_BYTES,
    )
    _serve(app, settings, parts, services, metrics)
    app.on_shutdown.append(_closing(services))
    app.cleanup_ctx.append(background(*_loops(settings, parts, services)))
    return app


def _serve(app: web.Application, settings: AgentSettings, parts: Parts, services: Services, metrics: Metrics) -> None:
    """Behind the agent's token all that is about apps; anybody may ask how the agent is."""

    async def recovered() -> None:
        services.recovery.check()

    app[ACCESS] = access = Access()
    app.middlewares.append(access.middleware())
    runtime = Gate("runtime", headers.AGENT_TOKEN, revealed(settings.tokens))
    isolated = services.keeper.check
    ready = ReadyRoutes("agent", SystemClock(), {**parts.checks, "recovery": recovered, "isolation": isolated})
    app.add_routes(access.routes(_routes(settings, parts, services), runtime))
    app.add_routes(access.routes(HealthRoutes().table()))
    app.add_routes(access.routes([web.get("/internal/ready", ready.ready)]))
    app.add_routes(access.routes(metrics.table()))
    app.add_routes(access.routes(ContractRoutes("daemons.agent").table()))
    check_described(app.router)


def _routes(settings: AgentSettings, parts: Parts, services: Services) -> list[web.RouteDef]:
    recovery = services.recovery
    apps = AppRoutes(
        services.rollout, services.apps, recovery, services.heartbeat, settings.gateway_url, settings.registries
    )
    return [
        *apps.table(),
        *VisitRoutes(services.visits, recovery).table(),
        *WarmingRoutes(services.warming, recovery, settings.registries).table(),
        *OutputRoutes(services.output, recovery).table(),
        *UsageRoutes(services.usage, recovery).table(),
        *CollectionRoutes(services.collector, recovery).table(),
        *ShellRoutes(services.shells, recovery).table(),
        *explorer_routes(settings, parts.database),
    ]


def _loops(settings: AgentSettings, parts: Parts, services: Services) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """What goes on while the agent runs."""
    loops = [
        services.keeper.run,
        services.watch.run,
        services.collector.run,
        services.recovery.run,
        services.retirement.run,
        services.vigil.run,
        services.shells.run,
        services.warming.run,
        parts.access_log.run,
    ]
    if settings.reports:
        loops.append(services.heartbeat.run)
    if services.databases is not None:
        loops.append(services.databases.run)
    return loops


def _closing(services: Services) -> Callable[[web.Application], Awaitable[None]]:
    """At a shutdown nobody waits for readers who would never leave."""

    async def close(_app: web.Application) -> None:
        services.output.close()
        await services.shells.close()

    return close
