"""What a node says of itself, and that a failure to say it holds up nothing."""

import logging
from dataclasses import dataclass, field

import pytest

from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.ports.registry import RegistryError
from daemons.workspace.services.heartbeat import Heartbeat, Self, Unknown
from protocol.workspace_nodes import WorkspaceNodeHeartbeat


@dataclass
class Known:
    """Workspaces in memory."""

    workspaces: tuple[Workspace, ...] = ()

    def known(self) -> tuple[Workspace, ...]:
        return self.workspaces


@dataclass
class Heard:
    """The registry's twin; it can be away."""

    beats: list[WorkspaceNodeHeartbeat] = field(default_factory=list)
    away: str = ""

    async def heartbeat(self, beat: WorkspaceNodeHeartbeat) -> None:
        if self.away:
            raise RegistryError(self.away)
        self.beats.append(beat)


@dataclass
class Disk:
    """A machine of this much disk."""

    figures: tuple[int, int] | None
    quota: str = "image"

    async def disk(self) -> tuple[int, int] | None:
        return self.figures


def workspace(user: int, phase: Phase) -> Workspace:
    return Workspace(str(user), 20000 + user, 0, phase=phase)


def beating(registry: Heard, disk: Disk, *phases: Phase, seconds: int = 15) -> Heartbeat:
    known = Known(tuple(workspace(user, phase) for user, phase in enumerate(phases, 1)))
    return Heartbeat(registry, known, disk, Self("ws-1", "http://gate", "http://api", "1.0", seconds))


async def test_a_beat_tells_addresses_load_and_room() -> None:
    registry = Heard()
    phases = (Phase.RUNNING, Phase.STARTING, Phase.FROZEN, Phase.STOPPED, Phase.ABSENT, Phase.MOVED)
    await beating(registry, Disk((5, 9)), *phases).beat()
    (beat,) = registry.beats
    assert (beat.node_name, beat.nginx_base_url, beat.api_base_url, beat.version) == (
        "ws-1",
        "http://gate",
        "http://api",
        "1.0",
    )
    assert (beat.containers_running, beat.containers_frozen, beat.containers_stopped) == (2, 1, 1)
    assert (beat.disk_free_bytes, beat.disk_total_bytes, beat.quota) == (5, 9, "image")


@pytest.mark.parametrize(("asked", "told"), [(1, 5), (5, 5), (40, 40)])
async def test_beats_are_five_seconds_apart_at_least_and_say_so(asked: int, told: int) -> None:
    assert (await beating(Heard(), Disk(None), seconds=asked).report()).interval_seconds == told


async def test_a_failure_is_logged_once_until_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    registry = Heard(away="refused")
    heart = beating(registry, Disk(None))
    for away in ("refused", "refused", "gone", "", ""):
        registry.away = away
        await heart.beat()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert len(registry.beats) == 2


async def test_a_node_is_ready_when_it_was_heard_of_once() -> None:
    registry = Heard(away="refused")
    heart = beating(registry, Disk(None))
    with pytest.raises(Unknown, match="not heard of this node yet: it was not asked"):
        await heart.check()
    await heart.beat()
    with pytest.raises(Unknown, match="not heard of this node yet: refused"):
        await heart.check()
    registry.away = ""
    await heart.beat()
    await heart.check()
    registry.away = "away again"
    await heart.beat()
    await heart.check()
