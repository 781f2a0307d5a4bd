"""What the node remembers of a user, while it is told more than one thing at once."""

import asyncio
from pathlib import Path

from daemons.workspace.adapters.records import run_records
from daemons.workspace.domain.runs import Run
from protocol.workspace_runs import RunType


def _run(number: int) -> Run:
    return Run("7", "5", RunType.DEV, f"run{number:08}", f"run-dev-5-{number}.log", number)


async def test_what_is_told_at_once_is_written_in_its_order(tmp_path: Path) -> None:
    records = run_records(tmp_path / "runs")
    assert await records.load() == []
    for _ in range(20):
        await asyncio.gather(*(records.save(_run(number)) for number in range(10)))
        assert await records.load() == [_run(9)]
        await asyncio.gather(records.save(_run(1)), records.forget("7"), records.save(_run(2)))
        assert await records.load() == [_run(2)]
        await asyncio.gather(records.save(_run(3)), records.forget("7"))
        assert await records.load() == []
