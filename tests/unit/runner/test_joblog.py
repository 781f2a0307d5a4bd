"""What a job's log keeps from its readers, and how fast it brings the rest."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kit.logs import Redactor, spellings
from daemons.runner.domain.plan import attempt_of
from daemons.runner.services.joblog import JobLog, LogUploader
from tests.unit.runner.twins import FakePacer, MemoryControlPlane, MemorySpool, claimed, turns_until

SECRETS = ("hunter2-hunter2", "a-token-with-a-longer-tail-0123456789", "K" * 3000)
TEXT = st.text("ab\n-", max_size=30)
SECRET = st.sampled_from(SECRETS)
FILLING = st.sampled_from(["x" * 9000, "line\n" * 30, "\n"])


async def logged(pieces: list[str]) -> str:
    spool = MemorySpool()
    log = JobLog(spool, Redactor(SECRETS))
    for piece in pieces:
        await log.write(piece)
    await log.end()
    return spool.data.decode()


@given(st.lists(st.one_of(TEXT, SECRET, FILLING), max_size=12), st.lists(st.integers(0, 40_000), max_size=20))
def test_no_secret_survives_however_the_output_is_cut_into_pieces(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    pieces, start = [], 0
    for end in ends:
        pieces.append(text[start:end])
        start = end
    kept = asyncio.run(logged(pieces))
    assert not any(secret in kept for secret in SECRETS)
    assert "K" * 100 not in kept, "not even a part of one that came in two pieces"
    whole = "\n".join(Redactor(SECRETS).text(line) for line in text.split("\n"))
    assert kept == (whole if whole.endswith("\n") or not whole else whole + "\n")


async def test_a_secret_in_the_middle_of_an_endless_line_is_removed_wherever_the_line_is_cut() -> None:
    secret = SECRETS[1]
    for before in range(8150, 8260):
        assert secret not in await logged(["y" * before, secret[:7], secret[7:], "z" * 9000])


def test_each_line_of_a_secret_with_several_lines_is_one() -> None:
    redact = Redactor(spellings(("first line of a key\nsecond line of a key\n",))).text
    assert "line of a key" not in redact("first line of a key") + redact("> second line of a key <")


@pytest.mark.parametrize(("followed", "seconds"), [(True, 0.05), (False, 1.0), (None, 0.2)])
async def test_lines_leave_at_once_while_somebody_reads_along_and_are_gathered_otherwise(
    followed: bool | None, seconds: float
) -> None:
    job = claimed()
    control, pacer, log = MemoryControlPlane(job), FakePacer(), JobLog(MemorySpool(), Redactor(()))
    control.logs[job.id] = bytearray()
    control.followed = followed
    uploader = LogUploader(control, attempt_of(job, 30), log, pacer)
    began = pacer.now()
    running = asyncio.create_task(uploader.run())
    for number in range(4):
        await log.write(f"line {number}\n")
        await turns_until(lambda number=number: f"line {number}".encode() in control.logs[job.id])  # type: ignore[misc]
    running.cancel()
    assert pacer.now() - began == pytest.approx(3 * seconds, abs=seconds + 0.001)


async def test_of_a_log_that_is_too_long_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() -> None:
    spool = MemorySpool()
    log = JobLog(spool, Redactor(()), most_bytes=100_000)
    for number in range(20_000):
        await log.write(f"line {number} of a build that prints\n")
    await log.write("npm error the reason\n")
    await log.end()
    text = spool.data.decode()
    written = len("".join(f"line {number} of a build that prints\n" for number in range(20_000))) + 21
    head, gap, end = text.partition("\n[gap] ")
    assert gap and len(head) == 100_000 and end.endswith("npm error the reason\n")
    assert end.startswith(f"{log.dropped} bytes of this log are left out here")
    assert len(head) + log.dropped + len(end.partition("\n")[2]) == written
    assert log.length == len(spool.data) < 170_000
    assert log.tail()[-1] == "npm error the reason"


async def test_a_log_that_just_fits_has_no_gap() -> None:
    spool = MemorySpool()
    log = JobLog(spool, Redactor(()), most_bytes=10)
    await log.write("0123456789abc\n")
    await log.end()
    assert (bytes(spool.data), log.dropped) == (b"0123456789abc\n", 0)


async def test_a_full_disk_is_a_gap_that_the_log_tells_when_there_is_room_again() -> None:
    spool = MemorySpool()
    log = JobLog(spool, Redactor(()))
    await log.write("before\n")
    await log.spool()
    spool.full = True
    await log.write("lost\n")
    await log.spool()
    spool.full = False
    await log.write("after\n")
    await log.end()
    assert log.dropped == 5 and b"[gap] 5 bytes" in spool.data
    assert spool.data.startswith(b"before\n") and spool.data.endswith(b"after\n")


@pytest.mark.parametrize("unit", ["a line of a build\n", "\r 12% [====>    ]", "x"])
async def test_what_is_held_of_a_log_does_not_grow(unit: str) -> None:
    """Ten MB; what counts is what this process holds after each piece, beside the spool."""
    spool, most = MemorySpool(), 0
    log = JobLog(spool, Redactor(()), most_bytes=1024 * 1024)
    piece = (unit * 16_384)[:16_384]
    for _ in range(640):
        await log.write(piece)
        most = max(most, len(log._pending) + len(log._end) + len(log._stream.held) + sum(map(len, log.tail())))
    await log.end()
    assert most < 1024 * 1024 and log.length < 1.2 * 1024 * 1024


async def test_a_progress_bar_is_kept_as_it_is_and_told_once() -> None:
    spool = MemorySpool()
    log = JobLog(spool, Redactor(()))
    for piece in ("\x1b[32mok\x1b[0m\n", " 1%\r", " 2%\r", " 3%", "\r\nnext\n"):
        await log.write(piece)
    assert log.tail() == ("\x1b[32mok\x1b[0m", " 3%", "next")
    await log.end()
    assert spool.data == b"\x1b[32mok\x1b[0m\n 1%\r 2%\r 3%\r\nnext\n"


async def test_bytes_that_are_being_written_when_the_work_is_cancelled_keep_their_place() -> None:
    class SlowSpool(MemorySpool):
        gate = asyncio.Event()

        async def append(self, data: bytes) -> int:
            await self.gate.wait()
            return await super().append(data)

    spool = SlowSpool()
    log = JobLog(spool, Redactor(()))
    await log.write("first\n")
    spooling = asyncio.create_task(log.spool())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    spooling.cancel()
    await asyncio.sleep(0)
    spool.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await spooling
    await log.write("second\n")
    await log.end()
    assert (bytes(spool.data), log.length) == (b"first\nsecond\n", 13)
