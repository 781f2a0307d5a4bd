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
    await log.spool(last=True)
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
