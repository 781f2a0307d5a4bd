"""Logs: appended by offset, read and followed as one stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain import logs
from daemons.deploy.services import logkeeping
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.logkeeping import LogLimits
from protocol.client.transport import Refused
from protocol.jobs import ClaimedJob, JobStatus, JobView, ReportJob
from protocol.logs import LogPosition
from tests.http.deploy.plane import Plane, serving
from tests.support.eventually import eventually


async def put(plane: Plane, job: ClaimedJob, offset: int, data: bytes) -> LogPosition:
    return await plane.runners.upload_log(job.id, job.runner_id or "", job.lease_token, offset=offset, data=data)


async def read(plane: Plane, job_id: str, *, offset: int = 0, follow: bool = False) -> bytes:
    return b"".join([chunk async for chunk in plane.api.log(job_id, offset=offset, follow=follow)])


@asynccontextmanager
async def following(plane: Plane, job_id: str) -> AsyncIterator[AsyncIterator[bytes]]:
    chunks = plane.api.log(job_id, follow=True)
    assert isinstance(chunks, AsyncGenerator)
    async with aclosing(chunks):
        yield chunks


async def end(plane: Plane, job: ClaimedJob, *, logged: int | None = None) -> JobView:
    report = ReportJob(
        runner_id=job.runner_id or "", lease_token=job.lease_token, status=JobStatus.FAILED, log_length=logged
    )
    return await plane.runners.report(job.id, report)


async def test_bytes_that_are_there_already_are_not_stored_twice() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        assert await put(plane, job, 0, b"hello ") == LogPosition(length=6, followed=False)
        assert await put(plane, job, 0, b"hello ") == LogPosition(length=6, followed=False)
        assert await put(plane, job, 3, b"lo world\n") == LogPosition(length=12, followed=False)
        assert await put(plane, job, 12, b"") == LogPosition(length=12, followed=False)
        assert await read(plane, job.id) == b"hello world\n"
        assert await read(plane, job.id, offset=6) == b"world\n"
        assert await read(plane, job.id, offset=99) == b""
        assert (await plane.api.get(job.id)).log_length == 12


async def test_a_gap_is_refused_with_the_length_the_server_has() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"abc")
        with pytest.raises(Refused) as caught:
            await put(plane, job, 4, b"e")
        assert (caught.value.status, caught.value.reason) == (409, "log_gap")
        assert caught.value.data == LogPosition(length=3)


async def test_a_follower_gets_what_comes_and_ends_with_the_job() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"one\n")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            follower = group.create_task(read(plane, job.id, follow=True))
            await put(plane, job, 4, b"two\n")
            await put(plane, job, 8, b"three\n")
            await end(plane, job)
        assert follower.result() == b"one\ntwo\nthree\n"


async def test_any_bytes_survive_in_any_pieces() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        data = bytes(range(256)) * 1024
        for start in range(0, len(data), 100_000):
            await put(plane, job, start, data[start : start + 100_000])
        await end(plane, job)
        assert await read(plane, job.id, follow=True) == data


async def test_the_next_attempt_counts_from_its_own_first_byte() -> None:
    async with serving() as plane:
        first = await plane.claimed(lease_seconds=1)
        await put(plane, first, 0, b"first attempt\n")
        second = await plane.claim("r2", wait_seconds=20)
        assert second is not None and second.attempt == 2
        assert await put(plane, second, 0, b"second attempt\n") == LogPosition(length=15, followed=False)
        assert await put(plane, second, 0, b"second attempt\n") == LogPosition(length=15, followed=False)
        gap = b"\n[gap] runner r1 was lost in attempt 1; what it wrote after this, if anything, never arrived\n"
        assert await read(plane, first.id) == b"first attempt\n" + gap + b"second attempt\n"
        with pytest.raises(Refused) as caught:
            await put(plane, first, 14, b"zombie\n")
        assert caught.value.reason == "lease_lost"


async def test_the_last_bytes_may_come_after_the_report() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await end(plane, job)
        assert await put(plane, job, 0, b"late\n") == LogPosition(length=5, complete=True, followed=False)


async def test_a_follower_waits_for_the_bytes_that_the_report_promised() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"early\n")
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            follower = group.create_task(read(plane, job.id, follow=True))
            assert not (await end(plane, job, logged=11)).log_complete
            assert (await put(plane, job, 6, b"la")).length == 8
            last = await put(plane, job, 8, b"te\n")
            assert (last.length, last.complete) == (11, True)
        assert follower.result() == b"early\nlate\n"
        assert (await plane.api.get(job.id)).log_complete


async def test_a_reader_is_told_once_how_many_bytes_never_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUIET_MS", 0)
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"early\n")
        await end(plane, job, logged=11)
        for follow in (True, False):
            text = await read(plane, job.id, follow=follow)
            assert text == b"early\n\n[gap] 5 more bytes of this log were written and never arrived from the runner\n"
            assert await read(plane, job.id, offset=len(text), follow=follow) == b""


async def test_a_runner_hears_whether_somebody_reads_along() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        assert (await put(plane, job, 0, b"one\n")).followed is False
        async with asyncio.timeout(60), following(plane, job.id) as reading:
            assert await anext(reading) == b"one\n"
            assert (await put(plane, job, 4, b"two\n")).followed is True
            assert await anext(reading) == b"two\n"


async def test_a_reader_at_another_replica_hears_of_bytes_and_of_the_end_and_is_known_there(tmp_path: Path) -> None:
    async with (
        open_store(f"sqlite:///{tmp_path}/deploy.db") as store,
        serving(store) as plane,
        serving(store) as other,
        asyncio.timeout(60),
    ):
        job = await plane.claimed()
        await put(plane, job, 0, b"one\n")
        async with following(other, job.id) as reading:
            assert await anext(reading) == b"one\n"
            await put(plane, job, 4, b"two\n")
            assert await anext(reading) == b"two\n"
            assert (await put(plane, job, 8, b"three\n")).followed is True
            assert await anext(reading) == b"three\n"
            await end(plane, job, logged=14)
            assert [chunk async for chunk in reading] == []


async def test_a_stopped_runner_says_that_this_is_all() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"one\n")
        assert not (await plane.api.cancel(job.id)).log_complete
        last = await plane.runners.upload_log(
            job.id, job.runner_id or "", job.lease_token, offset=4, data=b"[stopped]\n", last=True
        )
        assert (last.length, last.complete) == (14, True)
        view = await plane.api.get(job.id)
        assert (view.log_complete, view.log_gaps) == (True, 0)
        assert await read(plane, job.id, follow=True) == b"one\n[stopped]\n"


async def test_a_closed_log_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LATE_MS", 0)
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"one\n")
        await end(plane, job, logged=8)
        assert (await put(plane, job, 0, b"one\n")).length == 4, "what is there already may be sent again"
        with pytest.raises(Refused) as caught:
            await put(plane, job, 4, b"two\n")
        assert (caught.value.status, caught.value.reason) == (409, "log_closed")


async def test_a_gap_is_written_down_and_an_old_log_is_removed_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logkeeping, "_SETTLE_AFTER_MS", -1)
    monkeypatch.setattr(logs, "QUIET_MS", 0)
    async with serving() as plane:
        job, running = await plane.claimed(), await plane.claimed("20002")
        await put(plane, job, 0, b"early\n")
        await put(plane, running, 0, b"it runs\n")
        await end(plane, job, logged=11)
        before = await read(plane, job.id)
        await logkeeping.LogKeeper(plane.store, Bells(), LogLimits()).step()
        assert await read(plane, job.id) == before and before.endswith(b"never arrived from the runner\n")
        view = await plane.api.get(job.id)
        assert (view.log_length, view.log_gaps, view.log_complete) == (len(before), 1, False)
        for limits in (LogLimits(kept_ms=10**9), LogLimits(total_bytes=10**6)):
            await logkeeping.LogKeeper(plane.store, Bells(), limits).step()
            assert await read(plane, job.id) == before
        await logkeeping.LogKeeper(plane.store, Bells(), LogLimits(total_bytes=1)).step()
        removed = (await plane.api.get(job.id)).log_removed
        assert removed is not None and removed.reason == "size" and removed.removed_at is not None
        with pytest.raises(Refused) as caught:
            await read(plane, job.id)
        assert (caught.value.status, caught.value.reason) == (404, "log_removed")
        assert await read(plane, running.id) == b"it runs\n", "what still grows is not removed"


async def test_a_bad_offset_or_runner_is_400_and_a_huge_piece_413() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        path = f"/deploy/jobs/{job.id}/log"
        for query, field in (
            ("offset=x&runnerId=r1", "offset"),
            ("offset=0", "runnerId"),
            ("runnerId=a/b", "runnerId"),
        ):
            answer = await plane.call("PUT", f"{path}?{query}", role="runner", content=b"x")
            assert (answer.status_code, answer.json()["data"]["fields"]) == (400, [field])
        answer = await plane.call("PUT", f"{path}?runnerId=r1", role="runner", content=b"x" * 2_000_000)
        assert answer.status_code == 413


async def test_a_follower_of_a_quiet_job_is_let_go_at_shutdown() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"x")
        async with asyncio.timeout(20):
            async for chunk in plane.api.log(job.id, follow=True):
                assert chunk == b"x"
                await plane.runner.cleanup()


async def late(plane: Plane, job: ClaimedJob, offset: int, data: bytes, *, last: bool = False) -> LogPosition:
    return await plane.runners.upload_log(
        job.id, job.runner_id or "", job.lease_token, offset=offset, data=data, last=last, late=True
    )


async def test_what_a_lost_attempt_wrote_is_taken_when_no_other_attempt_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as plane:
        first = await plane.claimed(lease_seconds=1)
        await put(plane, first, 0, b"first\n")
        second = await plane.claim("r2", wait_seconds=20)
        assert second is not None
        await put(plane, second, 0, b"second\n")
        with pytest.raises(Refused) as caught:
            await late(plane, first, 6, b"and more\n", last=True)
        assert (caught.value.status, caught.value.reason) == (409, "log_later")
        await put(plane, second, 7, b"the same attempt\n")
        await end(plane, second, logged=24)
        monkeypatch.setattr(logs, "LATE_MS", 0)
        with pytest.raises(Refused) as caught:
            await late(plane, first, 20, b"x")
        assert caught.value.reason == "log_gap" and caught.value.data == LogPosition(length=6)
        assert (await late(plane, first, 0, b"first\nand ")).length == 10
        assert (await late(plane, first, 10, b"more\n", last=True)).length == 15
        assert (await late(plane, first, 10, b"more\n", last=True)).length == 15, "its answer may get lost"
        gap = b"\n[gap] runner r1 was lost in attempt 1; what it wrote after this, if anything, never arrived\n"
        head = b"\n[late] this is of attempt 1, whose runner brought it later:\n"
        foot = b"\n[late] the log of attempt 1 ends here; nothing of it is missing\n"
        own = b"second\nthe same attempt\n"
        assert await read(plane, first.id, follow=True) == b"first\n" + gap + own + head + b"and more\n" + foot
        view = await plane.api.get(first.id)
        assert (view.log_gaps, view.log_complete) == (0, True)
        with pytest.raises(Refused) as caught:
            await plane.runners.upload_log(first.id, "r1", "not-its-token", offset=0, data=b"x", late=True)
        assert caught.value.reason == "lease_lost"


async def test_a_pending_job_takes_them_at_once_and_the_next_attempt_begins_after_them() -> None:
    async with serving() as plane:
        first = await plane.claimed(lease_seconds=1)
        await put(plane, first, 0, b"one\n")

        async def pending() -> bool:
            return (await plane.api.get(first.id)).status is JobStatus.PENDING

        await eventually(pending)
        await late(plane, first, 4, b"two\n", last=True)
        second = await plane.claim("r2", wait_seconds=20)
        assert second is not None
        assert (await put(plane, second, 0, b"three\n")).length == 6
        text = await read(plane, first.id)
        assert text.index(b"two\n") < text.index(b"three\n") and (await plane.api.get(first.id)).log_gaps == 0


async def test_a_runner_that_came_back_within_its_lease_leaves_no_gap() -> None:
    async with serving() as plane:
        first = await plane.claimed(lease_seconds=1)
        assert (await late(plane, first, 0, b"all of it\n", last=True)).length == 10
        second = await plane.claim("r2", wait_seconds=20)
        assert second is not None and second.attempt == 2
        assert await read(plane, first.id) == b"all of it\n"
        assert (await plane.api.get(first.id)).log_gaps == 0


@pytest.mark.parametrize("sent", [b"one\n", b""])
async def test_what_follows_a_closed_log_is_still_taken(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(logs, "LATE_MS", 0)
    monkeypatch.setattr(logkeeping, "_SETTLE_AFTER_MS", -1)
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, sent)
        await plane.api.cancel(job.id)
        if sent:
            with pytest.raises(Refused) as caught:
                await late(plane, job, 0, b"one\ntwo\n", last=True)
            assert caught.value.reason == "log_later", "its gap is about to be written down"
        await logkeeping.LogKeeper(plane.store, Bells(), LogLimits()).step()
        assert (await late(plane, job, 0, b"one\ntwo\n", last=True)).length == 8
        text = await read(plane, job.id)
        assert text.count(b"one\n") == 1 and b"two\n" in text
        view = await plane.api.get(job.id)
        assert (view.log_gaps, view.log_complete, view.log_length) == (0, True, len(text))


async def test_what_a_runner_left_out_of_its_log_is_a_gap() -> None:
    async with serving() as plane:
        job = await plane.claimed()
        await put(plane, job, 0, b"the beginning\n")
        report = ReportJob(
            runner_id=job.runner_id or "",
            lease_token=job.lease_token,
            status=JobStatus.SUCCEEDED,
            log_length=14,
            log_dropped=99,
        )
        view = await plane.runners.report(job.id, report)
        assert (view.log_gaps, view.log_complete) == (1, False)
        again = await plane.api.get(job.id)
        assert (again.log_gaps, again.log_complete) == (1, False)
