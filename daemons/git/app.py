"""Composition root of the git server: key, access file, repositories, listener, signals."""

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import uvloop

from daemons.git.adapters.access_file import FileAccessBook
from daemons.git.adapters.host_key import load_or_make
from daemons.git.adapters.journals import FolderJournals
from daemons.git.adapters.loans import Books, LoanFolder
from daemons.git.adapters.orders import FolderOrders
from daemons.git.adapters.repositories import DiskRepositories
from daemons.git.adapters.ssh import Door
from daemons.git.adapters.webhook import new_id, webhook
from daemons.git.services.gatekeeper import Gatekeeper
from daemons.git.services.orders import OrderBook
from daemons.git.services.pushes import Pushes, Unwatched, Watch
from daemons.git.settings import GitSettings
from daemons.kit.clock import SystemClock
from daemons.kit.daemon import EX_CONFIG
from daemons.kit.settings import Misconfigured, revealed
from daemons.kit.tasks import running
from protocol.api import GitCreation, GitRemoval

logger = logging.getLogger(__name__)

_CLOSE_SECONDS: Final = 5.0


@asynccontextmanager
async def listening(settings: GitSettings) -> AsyncIterator[int]:
    """The server, and the port it listens on. On leaving, clients are cut off and their git processes end."""
    host_key = await asyncio.to_thread(load_or_make, settings.host_key_path)
    await asyncio.to_thread(settings.data_dir.mkdir, parents=True, exist_ok=True)
    repositories = DiskRepositories(settings.data_dir)
    book = Books(FileAccessBook(settings.access_file), LoanFolder(settings.loans_dir, SystemClock()))
    await repositories.sweep()
    gatekeeper = Gatekeeper(book, repositories)
    async with _watched(settings, repositories) as pushes:
        creations = FolderOrders(settings.creations_dir, GitCreation)
        removals = FolderOrders(settings.removals_dir, GitRemoval)
        orders = OrderBook(creations, removals, repositories, pushes)
        door = Door(gatekeeper, repositories, settings, pushes)
        acceptor = await door.listen(host_key)
        try:
            async with running(orders.run):
                yield acceptor.get_port()
        finally:
            acceptor.close()
            await door.close(_CLOSE_SECONDS)


@asynccontextmanager
async def _watched(settings: GitSettings, repositories: DiskRepositories) -> AsyncIterator[Watch]:
    """Raises Misconfigured when somebody is to be told of pushes and nothing is there to sign with."""
    if settings.webhook_url is None:
        yield Unwatched()
        return
    settings.require(GIT_WEBHOOK_SECRET=settings.webhook_secrets)
    await asyncio.to_thread(settings.pushes_dir.mkdir, parents=True, exist_ok=True)
    async with webhook(settings.webhook_url, revealed(settings.webhook_secrets)[0]) as receiver:
        pushes = Pushes(FolderJournals(settings.pushes_dir), repositories, receiver, new_id)
        async with running(pushes.run):
            yield pushes


def run(settings: GitSettings) -> None:
    """Serve until SIGTERM or SIGINT. Exits 78 when the port is taken or the host key cannot be used."""
    try:
        uvloop.run(_serve(settings))
    except Misconfigured as error:
        _refuse(str(error))
    except OSError as error:
        if "address" not in str(error).lower():
            raise
        _refuse(
            f"git cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Free the port or choose another with --port."
        )


async def _serve(settings: GitSettings) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with listening(settings) as port:
        logger.info("listening", extra={"service": settings.service, "host": settings.host, "port": port})
        await ended.wait()
    logger.info("stopped", extra={"service": settings.service})


def _refuse(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(EX_CONFIG)
