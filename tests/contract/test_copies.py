"""Copies of homes between two folders of this machine: whatever changes meanwhile arrives, and nothing escapes."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemons.workspace.adapters.confined import Confinement
from daemons.workspace.adapters.copies import DiskCopies
from daemons.workspace.adapters.homes import LocalHomes
from daemons.workspace.adapters.quotas import SoftQuota
from daemons.workspace.domain.copying import Beginning, CopyRefused, Ending, Item, Sort, encoded
from daemons.workspace.domain.files import DiskFull, FileError
from daemons.workspace.ports.moves import Received

UID = 1000 if os.geteuid() == 0 else os.geteuid()
USER = "7"


@dataclass
class Side:
    """One node's disk."""

    homes: LocalHomes
    copies: DiskCopies
    home: Path


def side(folder: Path, most: int = 10**9) -> Side:
    homes = LocalHomes(folder / "root", folder / "gates", SoftQuota(folder / "root", most), UID)
    copies = DiskCopies(homes, Confinement.of_this_kernel(UID), folder / "state")
    return Side(homes, copies, folder / "root" / USER)


@pytest.fixture
async def sides(tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    both = side(tmp_path / "a"), side(tmp_path / "b")
    for one in both:
        await one.homes.ready(USER)
    yield both
    for one in both:
        one.copies.close()


async def passed(source: Side, target: Side, after: str) -> Received:
    async with source.copies.sending(USER, after) as pieces:
        return await target.copies.receive(USER, after, pieces, compare=True)


async def forged(target: Side, *items: Item) -> None:
    """A pass that no honest source sends."""

    async def pieces() -> AsyncIterator[bytes]:
        yield encoded(Beginning("f" * 32, ""))
        for each in items:
            yield encoded(each)
        yield encoded(Ending("0" * 64, "", ()))

    await target.copies.receive(USER, "", pieces(), compare=False)


def rewrite(apps: Path, one: Path, two: Path) -> None:
    """As long as before, and its time set back."""
    if one.is_symlink():
        one.unlink()
    one.write_bytes(os.urandom(8))
    os.utime(one, ns=(5, 5))


def rename(apps: Path, one: Path, two: Path) -> None:
    if one.exists():
        one.rename(two)


def unlink(apps: Path, one: Path, two: Path) -> None:
    one.unlink(missing_ok=True)


def link(apps: Path, one: Path, two: Path) -> None:
    two.unlink(missing_ok=True)
    if one.is_file():
        two.hardlink_to(one)


def symlink(apps: Path, one: Path, two: Path) -> None:
    one.unlink(missing_ok=True)
    one.symlink_to(two.name)


def exchange(apps: Path, one: Path, two: Path) -> None:
    """Two folders take each other's name: nothing in them changes."""
    if (apps / "d").exists() and (apps / "g").exists():
        (apps / "d").rename(apps / "x")
        (apps / "g").rename(apps / "d")
        (apps / "x").rename(apps / "g")


def forbid(apps: Path, one: Path, two: Path) -> None:
    if one.is_file():
        one.chmod(0o000)


CHANGES = (rewrite, rename, unlink, link, symlink, exchange, forbid)


def change(home: Path, chance: random.Random) -> None:
    """What a program may do next."""
    apps = home / "apps"
    one, two = (apps / name for name in chance.sample(("a", "b", "c", "d/e", "d/f", "g/e", "g/h/i"), 2))
    for path in (one, two):
        path.parent.mkdir(parents=True, exist_ok=True)
    chance.choice(CHANGES)(apps, one, two)
    for path in (apps, *apps.rglob("*")):
        os.lchown(path, UID, UID)


def contents(home: Path) -> dict[str, tuple[int, int, bytes]]:
    """Files with their modes, names and bytes, and where links lead."""
    found: dict[str, tuple[int, int, bytes]] = {}
    for path in (home / "apps").rglob("*"):
        status = path.lstat()
        if path.is_symlink():
            found[str(path)] = (0, 1, bytes(path.readlink()))
        elif path.is_file():
            found[str(path)] = (status.st_mode, status.st_nlink, path.read_bytes())
    return found


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_programs_do_between_passes_arrives(sides: tuple[Side, Side], seed: int) -> None:
    source, target = sides
    chance, after = random.Random(seed), ""
    for _ in range(8):
        for _ in range(chance.randrange(1, 8)):
            await asyncio.to_thread(change, source.home, chance)
        came = await passed(source, target, after)
        assert came.matches, seed
        mine, theirs = [await asyncio.to_thread(contents, one.home) for one in sides]
        assert {name.removeprefix(str(source.home)): what for name, what in mine.items()} == {
            name.removeprefix(str(target.home)): what for name, what in theirs.items()
        }, seed
        after = came.token


async def test_a_pass_that_broke_off_is_made_good_by_the_next(sides: tuple[Side, Side]) -> None:
    source, target = sides
    (source.home / "apps" / "one").write_bytes(os.urandom(700_000))
    first = await passed(source, target, "")
    (source.home / "apps" / "one").write_bytes(os.urandom(700_000))
    (source.home / "apps" / "two").write_bytes(os.urandom(700_000))

    async def cut() -> AsyncIterator[bytes]:
        async with source.copies.sending(USER, first.token) as pieces:
            async for piece in pieces:
                yield piece
                return

    with pytest.raises(CopyRefused, match="broke off"):
        await target.copies.receive(USER, first.token, cut(), compare=False)
    assert (await passed(source, target, first.token)).matches
    assert (target.home / "apps" / "one").read_bytes() == (source.home / "apps" / "one").read_bytes()


async def test_a_pass_follows_the_one_that_the_target_has(sides: tuple[Side, Side]) -> None:
    source, target = sides
    first = await passed(source, target, "")
    second = await passed(source, target, first.token)
    # The source remembers the newest alone, and begins anew for who has another one.
    again = await passed(source, target, first.token)
    assert again.matches
    assert len({first.token, second.token, again.token}) == 3


@pytest.mark.parametrize("way", ["out", "up"])
async def test_what_comes_is_never_put_outside(sides: tuple[Side, Side], tmp_path: Path, way: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = "../../../../outside" if way == "up" else str(outside)
    link = Item("apps/l", Sort.LINK, 0o777, 0, 1, target)
    for next_ in (
        Item("apps/l/x", Sort.FILE, 0o644, 0, 1),
        Item("apps/l/x", Sort.FOLDER, 0o755, 0, 1),
        Item("apps/l/x", Sort.LINK, 0o777, 0, 1, "y"),
        Item("apps/l/x", Sort.SAME, 0o644, 0, 1, "apps/one"),
    ):
        with pytest.raises((FileError, CopyRefused)):
            await forged(sides[1], Item("apps", Sort.FOLDER, 0o755, 0, 1), link, next_)
    (outside / "kept").write_text("kept")
    with pytest.raises(CopyRefused, match="not what was sent"):
        await forged(sides[1], Item("apps", Sort.FOLDER, 0o755, 0, 1), link, Item("apps/l/kept", Sort.GONE))
    assert [path.name for path in outside.iterdir()] == ["kept"]


async def test_a_soft_quota_ends_a_copy_as_well(sides: tuple[Side, Side], tmp_path: Path) -> None:
    small = side(tmp_path / "c", 300_000)
    await small.homes.ready(USER)
    (sides[0].home / "apps" / "big").write_bytes(os.urandom(400_000))
    with pytest.raises(DiskFull):
        await passed(sides[0], small, "")
    small.copies.close()
