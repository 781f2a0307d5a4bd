"""How a one-shot command ends: its exit code, and one line on standard error when it failed.

0 ok, 1 failed, 2 usage or configuration, 3 may succeed when it is tried again, 4 refused, 130 interrupted.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import typer

from console.connect import admin
from console.live.refusals import explain
from console.settings import ConsoleSettings, NotConfigured, read
from protocol.client.transport import ClientError, Refused, Transport, Unreachable

if TYPE_CHECKING:
    from protocol.client.operator import OperatorClient

FAILED: Final = 1
USAGE: Final = 2
RETRYABLE: Final = 3
REFUSED: Final = 4
INTERRUPTED: Final = 130
#: Too early, too many requests, and a server or proxy that is not there now (RFC 9110, RFC 6585, RFC 8470).
_PASSING: Final = frozenset({425, 429, 502, 503, 504})


class Connected(Protocol):
    """A client with a connection to be closed."""

    transport: Transport


Client = TypeVar("Client", bound=Connected)


class Failure(Exception):
    """A command that did not do what was asked; the message is shown, `code` becomes the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def code_of(error: ClientError) -> int:
    """The exit code of a call that did not succeed."""
    if isinstance(error, Unreachable):
        return RETRYABLE
    if not isinstance(error, Refused):
        return FAILED
    if error.status in _PASSING:
        return RETRYABLE
    return REFUSED if error.status < 500 else FAILED


def run(work: Callable[["OperatorClient"], Awaitable[None]], failed: str) -> None:
    """Do the work with a client that knows every route. Raises typer.Exit with the code of what went wrong.

    `failed` begins the sentence about a call that did not succeed.
    """
    run_with(admin, work, failed)


def run_with(make: Callable[[ConsoleSettings], Client], work: Callable[[Client], Awaitable[None]], failed: str) -> None:
    """The same with a client of another kind."""
    try:
        asyncio.run(_with_client(make, work))
    except NotConfigured as problem:
        raise _exit(str(problem), USAGE) from None
    except Failure as problem:
        raise _exit(str(problem), problem.code) from None
    except ClientError as error:
        raise _exit(explain(error, failed), code_of(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader left; the interpreter must not stumble over it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None


async def _with_client(make: Callable[[ConsoleSettings], Client], work: Callable[[Client], Awaitable[None]]) -> None:
    client = make(read())
    async with client.transport:
        try:
            await work(client)
        except ExceptionGroup as group:
            raise _first(group) from None


def _first(problem: Exception) -> Exception:
    """What went wrong first among tasks that were done together."""
    while isinstance(problem, ExceptionGroup):
        problem = problem.exceptions[0]
    return problem


def _exit(message: str, code: int) -> typer.Exit:
    typer.echo(f"funai: {message}", err=True)
    return typer.Exit(code)
