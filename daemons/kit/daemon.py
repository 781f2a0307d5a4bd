"""Runs one daemon: logging, the port, signals, the exit code.

Exit codes: 0 after SIGTERM or SIGINT, 78 (`EX_CONFIG`) for a configuration that must be mended, 1 for a crash.
"""

import asyncio
import gc
import logging
import resource
import sys
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn, TypeVar

import uvloop
from aiohttp import web

from daemons.kit import logs
from daemons.kit.database import DatabaseMisconfigured
from daemons.kit.settings import Misconfigured, Settings, load

EX_CONFIG: Final = 78
#: How many objects more than died are made before the youngest are looked through, and how often the older ones are.
GARBAGE: Final = (50_000, 20, 50)
MAX_BODY_BYTES: Final = 1024 * 1024

logger = logging.getLogger(__name__)
S = TypeVar("S", bound=Settings)


def settings_or_exit(kind: type[S]) -> S:
    """The daemon's settings, or exit 78 with what to set; values are never printed."""
    try:
        settings = load(kind)
    except Misconfigured as error:
        _refuse(str(error))
    logs.configure(
        service=settings.service,
        json_lines=settings.log_format == "json",
        level=settings.log_level,
        secrets=settings.secret_values(),
    )
    return settings


def serve(
    build: Callable[[], Awaitable[web.Application]],
    *,
    host: str,
    port: int,
    service: str,
    garbage: tuple[int, int, int] = GARBAGE,
) -> None:
    """Serve the application until a signal. What must be mended first (a taken port, a database) is named, exit 78.
    `garbage` are the collector's thresholds."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    collect_garbage_less_often(garbage)
    logger.info("starting", extra={"service": service, "host": host, "port": port})
    try:
        web.run_app(
            build(),
            host=host,
            port=port,
            loop=loop,
            print=None,
            access_log=None,
            shutdown_timeout=5,
            handle_signals=True,
        )
    except (Misconfigured, DatabaseMisconfigured) as error:
        _refuse(f"{service} cannot start: {error}")
    except OSError as error:
        if error.errno is not None and "address" in str(error).lower():
            _refuse(
                f"{service} cannot listen on {host}:{port}: {error.strerror or error}. "
                "Free the port or choose another with --port."
            )
        raise


def open_more_files(most: int) -> int:
    """Let this process have as many files and sockets open, or as many as it may at most; how many that is. Shells and
    systemd give 1,024 to begin with, for programs that use select(): no daemon does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


def collect_garbage_less_often(thresholds: tuple[int, int, int] = GARBAGE) -> None:
    """What is loaded by now stays for good, and a group of fifty orders makes thousands of objects that die with it:
    with Python's own thresholds the collector took 7 % of a busy control plane's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    raise SystemExit(EX_CONFIG)
