"""A process that ends or begins while it is asked: the answers of HAProxy's master are played by a socket."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemons.agent.adapters.haproxy_admin import Process

UNREACHED = "Can't connect to the target CLI!\n"
GONE = "Can't find the target PID matching the prefix '@!7'.\n"


@asynccontextmanager
async def master(path: Path, answers: Sequence[str]) -> AsyncIterator[list[str]]:
    """One answer after the other, the last again and again; what was asked."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.read()).decode())
        writer.write(answers[min(len(asked), len(answers)) - 1].encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(answer, str(path)):
        yield asked


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((UNREACHED, UNREACHED, "# table: apps\n"), "# table: apps\n"),
        ((UNREACHED, GONE), ""),
        ((f"# table: apps\n{UNREACHED}", GONE), ""),
        ((GONE,), ""),
    ],
    ids=["begins", "ends", "ends in between", "is gone"],
)
async def test_who_cannot_be_reached_is_asked_again_and_who_is_gone_says_nothing(
    tmp_path: Path, answers: Sequence[str], says: str
) -> None:
    async with master(tmp_path / "m", answers) as asked:
        assert await Process(tmp_path / "m", "@!7 ").ask("show table apps", "show table streams") == says
        assert asked == ["@!7 show table apps;@!7 show table streams\n"] * len(answers)
