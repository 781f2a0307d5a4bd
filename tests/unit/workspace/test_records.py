"""Records on disk: who writes last has the last word, also of many at once."""

import asyncio
from dataclasses import replace
from pathlib import Path

from daemons.workspace.adapters.records import run_records
from daemons.workspace.domain.runs import Run
from protocol.workspace_runs import RunType


async def test_many_writers_of_one_record_take_turns(tmp_path: Path) -> None:
    records, run = run_records(tmp_path / "runs"), Run("7", "5", RunType.START, "tag", "log", 1)
    assert await records.load() == []
    for _ in range(20):
        await asyncio.gather(
            *(records.save(replace(run, started_at_ms=number)) for number in range(20)),
            records.forget("7"),
            *(records.save(replace(run, started_at_ms=number)) for number in range(20, 40)),
        )
        assert [one.started_at_ms for one in await records.load()] == [39]
    await asyncio.gather(records.save(run), records.forget("7"))
    assert await records.load() == []
