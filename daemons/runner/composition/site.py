"""The runner's own HTTP port: health and metrics, and nothing else."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from daemons.kit.clock import SystemClock
from daemons.kit.health import Check, HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.problems import problem_middleware
from daemons.runner.services.worker import Worker
from daemons.runner.settings import RunnerSettings

logger = logging.getLogger(__name__)

_SERVICE: Final = "fun-ai-studio-runner"


class CannotListen(Exception):
    """The port is not to be had; the message says what to do."""


class Site:
    """Listens for the length of the block. Raises CannotListen on entering."""

    def __init__(self, settings: RunnerSettings, app: web.Application) -> None:
        self._settings = settings
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)

    async def __aenter__(self) -> None:
        host, port = self._settings.host, self._settings.port
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise CannotListen(
                f"the runner cannot listen on {host}:{port}: {error.strerror or error}. "
                "Free the port or choose another with RUNNER_PORT."
            ) from None
        logger.info("listening", extra={"host": host, "port": port, "slots": self._settings.slots})

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def application(
    settings: RunnerSettings, worker: Worker, more: Mapping[str, Check], metrics: Metrics
) -> web.Application:
    """The routes; ready when the control plane answers, `more` holds and the git keys are there."""

    async def control_plane() -> None:
        if worker.trouble is not None:
            raise ConnectionError(worker.trouble)

    async def keys() -> None:
        for path in (settings.git_key, settings.git_known_hosts):
            if not await asyncio.to_thread(path.is_file):
                raise FileNotFoundError(f"{path} is not there")

    checks = {"control plane": control_plane, **more, "git keys": keys}
    app = web.Application(middlewares=[metrics.middleware(), problem_middleware({})])
    app.add_routes(HealthRoutes(_SERVICE, SystemClock(), checks).table())
    app.add_routes(metrics.table())
    return app
