"""What comes from a workspace is written by whoever its user is: archives that try to get out of their place."""

import asyncio
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from console.cli.outcome import Failure
from console.cli.workspace_copy import Remote, remote_of
from console.cli.workspace_unpack import unpacking

Fill = Callable[[tarfile.TarFile], None]


def archive(fill: Fill) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        fill(tar)
    return made.getvalue()


def add(tar: tarfile.TarFile, name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, len(data)
    tar.addfile(entry, io.BytesIO(data))


async def unpacked(data: bytes, place: Path, first: str = "src", piece: int = 1000) -> list[tuple[int, bool]]:
    told: list[tuple[int, bool]] = []
    async with unpacking(first, place, lambda count, begins: told.append((count, begins))) as taking:
        for begin in range(0, len(data), piece):
            await taking.feed(data[begin : begin + piece])
        await taking.finish()
    return told


def names_below(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.rglob("*"))


async def test_files_and_folders_come_with_their_content_and_right_to_run(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "src/", kind=tarfile.DIRTYPE)
        add(tar, "src/deep/" + "n" * 120 + "/a.txt", b"a" * 300_000)
        runs = tarfile.TarInfo("src/run")
        runs.mode = 0o755
        tar.addfile(runs)

    told = await unpacked(archive(fill), tmp_path / "mine")
    assert (tmp_path / "mine" / "deep" / ("n" * 120) / "a.txt").read_bytes() == b"a" * 300_000
    assert os.access(tmp_path / "mine" / "run", os.X_OK)
    assert (sum(begins for _, begins in told), sum(count for count, _ in told)) == (2, 300_000)


@pytest.mark.parametrize("name", ["src/../../out", "/src/out", "../out", "other/out", "src/a/../../../out", ""])
async def test_a_name_that_lies_elsewhere_ends_the_copy(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(Failure, match="elsewhere"):
        await unpacked(archive(lambda tar: add(tar, name, b"evil")), tmp_path / "in" / "src")
    assert names_below(tmp_path) == ["in"]


async def test_links_and_devices_are_left_out_and_nothing_is_written_through_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def fill(tar: tarfile.TarFile) -> None:
        add(tar, "src/way", kind=tarfile.SYMTYPE, link=str(outside))
        add(tar, "src/hard", kind=tarfile.LNKTYPE, link="/etc/passwd")
        add(tar, "src/pipe", kind=tarfile.FIFOTYPE)
        add(tar, "src/way/evil", b"evil")

    await unpacked(archive(fill), tmp_path / "src")
    assert list(outside.iterdir()) == []
    assert (tmp_path / "src" / "way" / "evil").read_bytes() == b"evil"
    assert sorted(each.name for each in (tmp_path / "src").iterdir()) == ["way"]
    assert capsys.readouterr().err.count("is left out") == 3


@pytest.mark.parametrize("of", ["folder", "file"])
async def test_a_link_of_the_operators_own_is_not_followed(tmp_path: Path, of: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a").symlink_to(outside if of == "folder" else outside / "kept")
    name = "src/a/evil" if of == "folder" else "src/a"
    with pytest.raises(Failure):
        await unpacked(archive(lambda tar: add(tar, name, b"evil")), tmp_path / "src")
    assert [(each.name, each.read_text()) for each in outside.iterdir()] == [("kept", "kept")]


async def test_a_pipe_in_the_way_is_neither_filled_nor_waited_for(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    os.mkfifo(tmp_path / "src" / "a")
    with pytest.raises(Failure):
        await unpacked(archive(lambda tar: add(tar, "src/a", b"evil")), tmp_path / "src")


async def test_an_endless_name_is_not_read_into_memory(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 8 * 1024**3
    with pytest.raises(Failure, match="longer than any"):
        await unpacked(entry.tobuf(tarfile.GNU_FORMAT) + b"x" * 4096, tmp_path / "src")


@pytest.mark.parametrize("data", [b"no archive at all" * 100, b"", b"\0" * 200])
async def test_what_is_no_archive_or_ends_early_is_said(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Failure, match="ended early"):
        await unpacked(data, tmp_path / "src")


async def test_a_copy_that_is_cut_off_is_said(tmp_path: Path) -> None:
    whole = archive(lambda tar: add(tar, "src/a", b"a" * 100_000))
    with pytest.raises(Failure):
        await unpacked(whole[:50_000], tmp_path / "src")


async def test_who_gives_up_waits_for_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(60):
        async with unpacking("src", tmp_path / "src", lambda _, __: None) as taking:
            await taking.feed(archive(lambda tar: add(tar, "src/a", b"a"))[:100])


def test_remote_paths() -> None:
    assert remote_of("7:apps/20001") == Remote("7", "apps/20001")
    assert str(Remote("7", "apps/x").whole) == "/workspace/apps/x" and str(Remote("7", "/tmp/x").whole) == "/tmp/x"
    assert remote_of("./7:x") is None and remote_of("file") is None and remote_of("c:/x") is None
