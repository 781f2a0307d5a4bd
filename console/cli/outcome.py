"""How a one-shot command ends: its exit code, and one line on standard error when it failed.

0 ok, 1 failed or refused, 2 usage or configuration, 3 the control plane cannot be reached, 130 interrupted.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Final

import typer

from console.connect import admin
from console.live.commands import explain
from console.settings import NotConfigured, read
from protocol.client.deploy import AdminClient
from protocol.client.transport import ClientError, Unreachable

FAILED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
INTERRUPTED: Final = 130


class Failure(Exception):
    """A command that did not do what was asked; the message is shown, `code` becomes the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def run(work: Callable[[AdminClient], Awaitable[None]], failed: str) -> None:
    """Do the work with a client of the control plane. Raises typer.Exit with the code of what went wrong.

    `failed` begins the sentence about a call that did not succeed.
    """
    try:
        asyncio.run(_with_client(work))
    except NotConfigured as problem:
        raise _exit(str(problem), USAGE) from None
    except Failure as problem:
        raise _exit(str(problem), problem.code) from None
    except ClientError as error:
        raise _exit(explain(error, failed), UNREACHABLE if isinstance(error, Unreachable) else FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # The reader left; the interpreter must not stumble over it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None


async def _with_client(work: Callable[[AdminClient], Awaitable[None]]) -> None:
    client = admin(read())
    async with client.transport:
        await work(client)


def _exit(message: str, code: int) -> typer.Exit:
    typer.echo(f"funai: {message}", err=True)
    return typer.Exit(code)
