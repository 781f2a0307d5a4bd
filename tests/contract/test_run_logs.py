"""Logs of runs on a real disk: bounded while they are written, emptied, and never another file than a log."""

import os
from pathlib import Path

import pytest

from daemons.workspace.adapters.run_files import LocalRunFiles
from tests.support.workspace_calls import UID, TwinHomes

USER, LOG, MIB = "7", "run-dev-5-1.log", 1024 * 1024


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = TwinHomes(tmp_path).made(USER) / "run"
    os.chown(folder, UID, UID)
    return folder


@pytest.fixture
def files(tmp_path: Path) -> LocalRunFiles:
    return LocalRunFiles(TwinHomes(tmp_path))  # type: ignore[arg-type]


def _log(run: Path, size: int) -> Path:
    log = run / LOG
    log.write_bytes(b"".join(b"%09d\n" % number for number in range(size // 10)))
    os.chown(log, UID, UID)
    return log


async def test_the_oldest_bytes_go_and_offsets_stay(files: LocalRunFiles, run: Path) -> None:
    log = _log(run, 8 * MIB)
    size = log.stat().st_size
    await files.bound(USER, LOG, MIB)
    status = log.stat()
    assert status.st_size == size and MIB <= status.st_blocks * 512 < MIB + 256 * 1024
    first = await files.read(USER, LOG, 0, 100)
    assert first is not None and (first.offset > 6 * MIB, first.size) == (True, size)
    assert b"\0" not in first.data and len(first.data) == 100
    last = await files.read(USER, LOG, -20, 100)
    assert last is not None and last.data == b"%09d\n%09d\n" % (size // 10 - 2, size // 10 - 1)
    with log.open("ab") as file:
        file.write(b"more\n")
    after = await files.read(USER, LOG, size, 100)
    assert after is not None and (after.offset, after.data) == (size, b"more\n")


async def test_a_short_log_keeps_all(files: LocalRunFiles, run: Path) -> None:
    log = _log(run, MIB + MIB // 8)
    before = log.read_bytes()
    await files.bound(USER, LOG, MIB)
    await files.bound(USER, "run-dev-5-2.log", MIB)
    assert log.read_bytes() == before


async def test_an_emptied_log_is_written_on(files: LocalRunFiles, run: Path) -> None:
    log = _log(run, MIB)
    with log.open("ab", buffering=0) as writer:
        await files.empty(USER, LOG)
        writer.write(b"on\n")
    found = await files.read(USER, LOG, 0, 100)
    assert found is not None and (found.size, found.data) == (3, b"on\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="files of others need root")
@pytest.mark.parametrize("how", ["link", "second name", "pipe", "folder"])
async def test_what_is_no_log_of_the_users_is_left_alone(
    files: LocalRunFiles, run: Path, tmp_path: Path, how: str
) -> None:
    """Root's hand is on the file: a name that leads to another one must not move it."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 4 * MIB)
    log = run / LOG
    match how:
        case "link":
            log.symlink_to(secret)
        case "second name":
            os.link(secret, log)
        case "pipe":
            os.mkfifo(log)
        case _:
            log.mkdir()
    await files.bound(USER, LOG, MIB)
    await files.empty(USER, LOG)
    assert await files.read(USER, LOG, 0, 100) is None
    assert secret.read_bytes() == b"s" * 4 * MIB and secret.stat().st_blocks * 512 >= 4 * MIB
