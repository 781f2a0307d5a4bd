"""The runner's life: claim until a signal, let jobs finish, go."""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NoReturn

import uvloop

from daemons.kit.daemon import EX_CONFIG
from daemons.kit.metrics import Metrics
from daemons.kit.tasks import running
from daemons.runner.adapters.project_files import init
from daemons.runner.adapters.workplace import DiskWorkplace
from daemons.runner.composition.builders import template_images
from daemons.runner.composition.services import compose
from daemons.runner.composition.site import CannotListen, Site, application
from daemons.runner.domain.builders import NoBuilder
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.ports import NoFolder
from daemons.runner.services.presence import Presence
from daemons.runner.services.worker import Worker
from daemons.runner.settings import RunnerSettings, TemplateSettings

logger = logging.getLogger(__name__)

_LOGS_SECONDS: Final = 5.0


def run(settings: RunnerSettings) -> None:
    """Run until a signal. SIGTERM or SIGINT: no more claims, running jobs finish; a second one hands
    them back."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        asyncio.run(_live(settings))
    except NoFolder as error:
        _give_up(f"the runner cannot start: {error}. Set RUNNER_WORKDIR.")
    except NoBuilder as error:
        _give_up(f"the runner cannot start: {error}. Mend that or change RUNNER_BUILDER.")
    except CannotListen as error:
        _give_up(str(error))


def write_template(folder: Path, settings: TemplateSettings) -> None:
    """Write a Dockerfile and a `.dockerignore` for the project in a folder and say so; ends with 1 when none fits."""
    try:
        lines = init(folder, template_images(settings))
    except WorkFailed as error:
        raise SystemExit(f"funai: {error.text}\n{error.advice or ''}".rstrip()) from None
    except OSError as error:
        raise SystemExit(f"funai: {folder}: {error.strerror or error}") from None
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _give_up(why: str) -> NoReturn:
    sys.stderr.write(f"{why}\n")
    raise SystemExit(EX_CONFIG) from None


async def _live(settings: RunnerSettings) -> None:
    workplace, metrics = DiskWorkplace(settings.workdir.absolute()), Metrics()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(workplace.owned())
        parts = await compose(settings, workplace, metrics, stack)
        await stack.enter_async_context(Site(settings, application(settings, parts.worker, parts.checks, metrics)))
        await parts.leftovers.deliver(_LOGS_SECONDS)
        async with running(parts.leftovers.run, parts.cache.run):
            await _until_stopped(parts.worker, parts.presence, settings.drain_seconds)
        await parts.leftovers.deliver(_LOGS_SECONDS)


async def _until_stopped(worker: Worker, presence: Presence, drain_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ended = False
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(presence.run(), name="presence")
        working = group.create_task(worker.run(), name="slots")
        working.add_done_callback(lambda _: telling.cancel())

        def end() -> None:
            nonlocal ended
            if ended:
                return
            ended = True
            if worker.busy:
                logger.warning("stopping with jobs running; they are handed back", extra={"jobs": worker.busy})
            working.cancel()

        def stop() -> None:
            if worker.stopping:
                end()
                return
            logger.info("stopping: no more claims, running jobs finish", extra={"jobs": worker.busy})
            worker.drain()
            presence.stop()
            loop.call_later(drain_seconds, end)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
