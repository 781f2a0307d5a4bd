"""Names of images that a runner left behind when it was killed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemons.runner.adapters.named_images import NotedBuilder
from daemons.runner.domain.plan import ImageNames
from daemons.runner.ports import BuildOrder, LogSink
from tests.contract.test_runner_git import Lines

PUSHED = ImageNames("r.example/n/u1-app2:0123456789ab-7", "r.example/n/u1-app2:latest")
LOCAL = ImageNames("n/u1-app2:0123456789ab-7", "n/u1-app2:latest")


class Killed(Exception):
    """The runner dies here."""


class Builder:
    """Says what it was asked to remove, and may be killed while it builds."""

    def __init__(self, *, dies: bool = False) -> None:
        self.dies = dies
        self.removed: list[tuple[str, ...]] = []

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        if self.dies:
            raise Killed

    async def push(self, image: str, log: LogSink) -> str:
        return "sha256:1"

    async def remove(self, images: Sequence[str]) -> None:
        self.removed.append(tuple(images))

    async def ping(self) -> None:
        pass


def notes(folder: Path) -> list[Path]:
    return list(folder.glob("*"))


async def test_what_a_killed_runner_named_is_removed_at_the_next_start(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        await NotedBuilder(Builder(dies=True), tmp_path / "n").build(BuildOrder(tmp_path, PUSHED, {}), Lines())
    builder = Builder()
    await NotedBuilder(builder, tmp_path / "n").remove_left()
    assert (builder.removed, notes(tmp_path / "n")) == ([PUSHED.all], [])


async def test_what_was_removed_is_noted_no_more(tmp_path: Path) -> None:
    noted = NotedBuilder(Builder(), tmp_path / "n")
    await noted.build(BuildOrder(tmp_path, PUSHED, {}), Lines())
    assert len(notes(tmp_path / "n")) == 1
    await noted.remove(PUSHED.all)
    assert notes(tmp_path / "n") == []


async def test_images_without_a_registry_are_the_nodes_and_stay(tmp_path: Path) -> None:
    await NotedBuilder(Builder(), tmp_path / "n").build(BuildOrder(tmp_path, LOCAL, {}), Lines())
    assert notes(tmp_path / "n") == []


async def test_a_note_that_was_half_written_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "n").mkdir()
    await asyncio.to_thread((tmp_path / "n" / "x").write_bytes, b'["r.exa')
    builder = Builder()
    await NotedBuilder(builder, tmp_path / "n").remove_left()
    assert (builder.removed, notes(tmp_path / "n")) == ([], [])
