"""The access file between its writer and its reader."""

from pathlib import Path

import pytest

from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.domain.access import KeyGrants
from daemons.git.adapters.access_file import FileAccessBook
from daemons.git.domain.access import Grant, Holder, Level

FINGERPRINT = "SHA256:" + "a" * 43
BOT = "SHA256:" + "b" * 43
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "git" / "access.json"


async def write(path: Path, *grants: KeyGrants) -> None:
    await DiskGitAccess(path, None).write(grants)


def remove(path: Path) -> None:
    path.unlink()


def spoil(path: Path, text: str) -> None:
    path.write_text(text)


def file_number(path: Path) -> int:
    return path.stat().st_ino


async def test_what_the_api_writes_the_git_server_honours(path: Path) -> None:
    book = FileAccessBook(path)
    assert await book.holder(FINGERPRINT) is None
    await write(
        path,
        KeyGrants("bot:runner", BOT, PUBLIC_KEY, reads_all=True),
        KeyGrants("user:1", FINGERPRINT, PUBLIC_KEY, writes=("funai/u1-app20001",)),
    )
    assert await book.holder(FINGERPRINT) == Holder("user:1", (Grant("funai/u1-app20001", Level.WRITE),))
    assert await book.holder(BOT) == Holder("bot:runner", (Grant("*", Level.READ),))


async def test_a_change_counts_from_the_next_question_on(path: Path) -> None:
    book = FileAccessBook(path)
    await write(path, KeyGrants("user:1", FINGERPRINT, PUBLIC_KEY))
    assert await book.holder(FINGERPRINT) is not None
    await write(path, KeyGrants("user:1", BOT, PUBLIC_KEY))
    assert await book.holder(FINGERPRINT) is None
    remove(path)
    assert await book.holder(BOT) is None


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"keys": 1}', '{"keys": [{"principal": "x"}]}'])
async def test_a_broken_file_changes_nothing_and_is_logged_once(
    path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    book = FileAccessBook(path)
    await write(path, KeyGrants("user:1", FINGERPRINT, PUBLIC_KEY))
    assert await book.holder(FINGERPRINT) is not None
    spoil(path, broken)
    assert await book.holder(FINGERPRINT) is not None
    assert await book.holder(FINGERPRINT) is not None
    assert [record.message for record in caplog.records if "broken" in record.message] != []
    assert len(caplog.records) == 1
    await write(path)
    assert await book.holder(FINGERPRINT) is None


async def test_an_unchanged_file_is_not_written_again(path: Path) -> None:
    await write(path, KeyGrants("user:1", FINGERPRINT, PUBLIC_KEY))
    before = file_number(path)
    await write(path, KeyGrants("user:1", FINGERPRINT, PUBLIC_KEY))
    assert file_number(path) == before
