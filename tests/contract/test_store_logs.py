"""Logs in segments, over every database."""

import base64
import os
import random
import zlib
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from daemons.deploy.adapters import store_logs
from daemons.deploy.adapters.store import SqlTransaction, open_store
from daemons.deploy.adapters.store_logs import MOST_PIECES, SEGMENT_BYTES
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.late_logs import LogPart
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.ports.history import EndedLog, LogPosition
from protocol.jobs import JobStatus, JobType


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


def job(number: int, status: JobStatus = JobStatus.RUNNING, finished_at: int | None = None) -> Job:
    kind = JobType.BUILD_AND_DEPLOY
    return Job(f"job-{number}", kind, status, f"app-{number}", "7", {}, 1, 1, finished_at=finished_at)


async def insert(tx: Transaction, *jobs: Job) -> None:
    for each in jobs:
        assert await tx.insert_job(each)


async def segments(tx: Transaction, job_id: str = "job-1") -> list[tuple[int, int, int]]:
    """Each segment's offset, whether it is packed, and its size as stored; through the adapter, as only it knows."""
    assert isinstance(tx, SqlTransaction)
    part = {"job_id": job_id, "start_offset": 0, "end": 2**60}
    rows = await tx._session.rows("log_segments_between", **part)  # type: ignore[arg-type]
    return [(row["start_offset"], row["packed"], len(row["content"])) for row in rows]


async def append(store: Store, offset: int, data: bytes) -> None:
    await store.transact(lambda tx: tx.append_log("job-1", offset, data))


async def read(store: Store, offset: int, limit: int) -> bytes:
    async def work(tx: Transaction) -> bytes:
        return await tx.read_log("job-1", offset, limit)

    return await store.transact(work)


async def test_small_pieces_are_stored_as_they_are_and_never_become_many(store: Store) -> None:
    data = b"".join(b"line %d of a build\n" % number for number in range(1000))
    cuts = [0, *sorted(random.sample(range(1, len(data)), 300)), len(data)]
    for start, end in pairwise(cuts):
        await append(store, start, data[start:end])
        assert len(await store.transact(segments)) <= MOST_PIECES + 1
    assert (await store.transact(segments))[-1][1] == 0, "the newest piece is not compressed yet"
    for offset in (0, 1, cuts[7], cuts[150] - 1, len(data) - 1):
        assert await read(store, offset, len(data)) == data[offset:]


async def test_full_segments_are_sealed_once_and_any_offset_is_in_one_of_them(store: Store) -> None:
    line = b"Step 3/9 : RUN npm ci --no-audit\n"
    data = line * (5 * SEGMENT_BYTES // 2 // len(line)) + os.urandom(1000)
    for start in range(0, len(data), 200_000):
        await append(store, start, data[start : start + 200_000])
    found = await store.transact(segments)
    assert [(offset, packed) for offset, packed, _ in found][:2] == [(0, 1), (SEGMENT_BYTES, 1)]
    assert all(offset // SEGMENT_BYTES <= 2 for offset, _, _ in found)
    assert sum(size for _, packed, size in found if packed) < 20_000, "two segments of one line compress well"
    for offset in (0, SEGMENT_BYTES - 1, SEGMENT_BYTES, 2 * SEGMENT_BYTES + 5, len(data) - 1):
        assert await read(store, offset, SEGMENT_BYTES) == data[offset : offset + SEGMENT_BYTES]
    assert await read(store, 0, 10**9) == data
    assert await read(store, len(data), 10) == b""


async def test_a_log_of_the_release_before_is_read_on_and_goes_on(store: Store) -> None:
    async def before(tx: Transaction) -> None:
        assert isinstance(tx, SqlTransaction)
        for start, data in ((0, b"hello world\n"), (12, b"sen\n")):
            content = base64.b64encode(zlib.compress(data)).decode()
            row = f"('job-1', {start}, '{content}')"
            await tx._session._connection.execute(f"INSERT INTO fun_ai_deploy_job_log VALUES {row}")

    await store.transact(before)
    await append(store, 16, b"and more\n")
    assert await read(store, 0, 100) == b"hello world\nsen\n"
    assert await read(store, 14, 100) == b"n\n" and await read(store, 16, 100) == b"and more\n"
    await store.transact(lambda tx: tx.settle_log("job-1", 5000))
    assert await store.transact(lambda tx: tx.ended_logs(5)) == [EndedLog("job-1", 28 + 16 + 17, 5000)]
    await store.transact(lambda tx: tx.delete_logs(["job-1"]))
    assert await read(store, 0, 100) == await read(store, 16, 100) == b""


async def test_a_settled_log_is_compressed_counted_and_in_line_to_be_removed(store: Store) -> None:
    lines = b"the same line\n" * 5000

    async def work(tx: Transaction) -> None:
        await insert(tx, job(1, JobStatus.FAILED, 3000), job(2, JobStatus.SUCCEEDED, 2000), job(3), job(4))
        for number in (1, 2, 3, 5):
            await tx.append_log(f"job-{number}", 0, lines[:40_000])
            await tx.append_log(f"job-{number}", 40_000, lines[40_000:])

    await store.transact(work)
    assert await store.transact(lambda tx: tx.unsettled_logs(2001, 10)) == ["job-2", "job-5"], "job-5 is gone"
    assert await store.transact(lambda tx: tx.unsettled_logs(9999, 2)) == ["job-1", "job-2"]
    for number, at in ((1, 3000), (2, 2000)):
        await store.transact(partial(settle, f"job-{number}", at))
    assert [packed for _, packed, _ in await store.transact(segments)] == [1]
    assert await read(store, 0, 10**6) == lines
    first, second = await store.transact(lambda tx: tx.ended_logs(5))
    assert (first.job_id, first.ended_at, second.job_id) == ("job-2", 2000, "job-1")
    assert 0 < first.stored_bytes < 1000
    assert await store.transact(lambda tx: tx.stored_logs()) == first.stored_bytes + second.stored_bytes
    assert await store.transact(lambda tx: tx.unsettled_logs(9999, 10)) == ["job-5"]
    await store.transact(lambda tx: tx.delete_logs(["job-2", "job-5"]))
    assert await store.transact(lambda tx: tx.ended_logs(5)) == [second]


async def settle(job_id: str, at: int, tx: Transaction) -> None:
    await tx.settle_log(job_id, at)


async def test_what_a_job_says_of_its_log_is_written_by_these_methods_alone(store: Store) -> None:
    first, ended = job(1), job(2, JobStatus.FAILED, 5)
    said = replace(first, log_length=7, log_expected=9, log_gaps=1, log_removed="age", log_removed_at=8)

    async def work(tx: Transaction) -> None:
        await insert(tx, first, ended)
        await tx.save_log(said)
        await tx.follow_logs(["job-1", "job-2"], 10_000)
        await tx.follow_logs(["job-1"], 9_000)
        await tx.save_job(replace(first, phase="BUILD", version=1, log_expected=9), first)

    await store.transact(work)
    expected = replace(said, log_followed_until=10_000, phase="BUILD", version=1)
    assert await store.transact(lambda tx: tx.job("job-1")) == expected
    assert await store.transact(lambda tx: tx.log_positions(["job-1", "job-2", "no"])) == {
        "job-1": LogPosition(7, ended=False),
        "job-2": LogPosition(0, ended=True),
    }


def test_a_piece_of_a_runner_fits_a_packet_of_every_server() -> None:
    assert store_logs.SEGMENT_BYTES * 2 + 1000 < 1024 * 1024


async def test_closed_parts_are_known_by_their_holder_and_go_with_the_log(store: Store) -> None:
    part = LogPart("job-1", "a" * 64, 2, 5, 100, 3000, gap=True)
    other = replace(part, holder="b" * 64, attempt=3)
    for each in (part, other):
        await store.transact(partial(put, each))
    assert await store.transact(lambda tx: tx.log_part("job-1", "c" * 64)) is None
    more = replace(part, received=9, end=104, whole=True)
    await store.transact(partial(put, more))
    assert await store.transact(lambda tx: tx.log_part("job-1", "a" * 64)) == more
    assert await store.transact(lambda tx: tx.log_part("job-1", "b" * 64)) == other
    await store.transact(lambda tx: tx.delete_logs(["job-1"]))
    assert await store.transact(lambda tx: tx.log_part("job-1", "a" * 64)) is None


async def put(part: LogPart, tx: Transaction) -> None:
    await tx.put_log_part(part)
