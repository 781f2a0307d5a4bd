"""Plays a recording as time goes by: the place of the feed in a console that shows what was."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from console.live.model import Clock, World
from console.live.recorder.player import SPEEDS, Player
from console.live.recorder.steps import Unreadable

_TICK_SECONDS: Final = 0.05
Pause = Callable[[float], Awaitable[None]]
T = TypeVar("T")


class TapeClock:
    """The clock that the recorded console had, where the recording is now."""

    def __init__(self, position: float = 0.0) -> None:
        self.position = position

    def monotonic(self) -> float:
        """Seconds."""
        return self.position


@dataclass(frozen=True, slots=True)
class DeckState:
    """Where the recording is: times by the control plane's clock, in epoch seconds. `share` of the session is done."""

    at: float
    began: float
    ended: float
    share: float
    playing: bool
    speed: int
    problem: str | None = None


class Deck:
    """Hands every world to `show`, and moves the clock. One thing is done at a time, in the order of the wishes."""

    def __init__(
        self,
        player: Player,
        clock: TapeClock,
        show: Callable[[World, DeckState], None],
        real: Clock,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._player = player
        self._clock = clock
        self._show = show
        self._real = real
        self._pause = pause
        self._playing = False
        self._speed = SPEEDS[0]
        self._problem: str | None = None
        self._lock = asyncio.Lock()

    async def run(self, *, playing: bool = True) -> None:
        """Play until cancelled."""
        self._playing = playing
        self._publish()
        before = self._real.monotonic()
        while True:
            await self._pause(_TICK_SECONDS)
            now = self._real.monotonic()
            passed, before = now - before, now
            if self._playing:
                await self._on(passed * self._speed)

    async def _on(self, seconds: float) -> None:
        player = self._player
        position = player.position + seconds
        if player.position >= player.bounds[1]:
            self._playing = await self._do(player.next_session, slow=True) or False
            self._publish()
        else:
            await self._do(lambda: player.advance(position), slow=player.reads(position))

    async def toggle(self) -> None:
        """Play, or stand still."""
        self._playing = not self._playing
        self._publish()

    async def faster(self, step: int) -> None:
        """The next speed (1) or the one before (-1)."""
        self._speed = SPEEDS[max(0, min(len(SPEEDS) - 1, SPEEDS.index(self._speed) + step))]
        self._publish()

    async def nudge(self, seconds: float) -> None:
        """So many seconds on, or back."""
        position = self._player.position + seconds
        await self._do(lambda: self._player.seek(position), slow=True)

    async def frame(self, step: int) -> None:
        """One frame on, or back, and stand still there."""
        self._playing = False
        await self._do(lambda: self._player.frame(step), slow=True)

    async def seek_time(self, moment: float) -> None:
        """To a time, in epoch seconds."""
        await self._do(lambda: self._player.seek_time(moment), slow=True)

    async def seek_share(self, share: float) -> None:
        """To a part of the session, 0 to 1."""
        first, last = self._player.bounds
        await self._do(lambda: self._player.seek(first + (last - first) * share), slow=True)

    async def _do(self, work: Callable[[], T], *, slow: bool) -> T | None:
        """Move the player; what reads the file is done in another thread."""
        found: T | None = None
        async with self._lock:
            try:
                found = await asyncio.to_thread(work) if slow else work()
                self._problem = None
            except (Unreadable, sqlite3.Error, OSError) as error:
                self._playing, self._problem = False, str(error)
        self._publish()
        return found

    @property
    def state(self) -> DeckState:
        """Where it is."""
        player = self._player
        first, last = player.bounds
        share = (player.position - first) / (last - first) if last > first else 1.0
        ends = (player.at(first), player.at(last))
        return DeckState(player.at(player.position), *ends, share, self._playing, self._speed, self._problem)

    def _publish(self) -> None:
        self._clock.position = self._player.position
        world = World()
        for plane, track in self._player.tracks.items():
            if track.live.model is not None:
                world = world.with_plane(plane, track.live)
        self._show(world, self.state)
