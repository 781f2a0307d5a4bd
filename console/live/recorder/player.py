"""Plays a recording: the same values in the same order as the feeds published them, at any speed.

The time of a session is the clock that its console had; `position` is a moment of it. A `Track` is one control plane;
a `Player` has all of a session and goes on to the next session at its end.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from console.live.model import Live, Model
from console.live.recorder.shelf import ReelInfo
from console.live.recorder.steps import Frame, Reel

SPEEDS: Final = (1, 2, 5, 10, 30, 60)
Read = Callable[[ReelInfo], Reel]


class Track:
    """One control plane of a session; `live` is what was shown of it at the position.

    Whatever follows collections (tables, counts) takes each value for one that came after the one before, also when
    the operator goes back; so what a reel begins with takes the place of what was shown, as a snapshot does.
    """

    def __init__(self, reels: Sequence[ReelInfo], read: Read, before: Model | None = None) -> None:
        self._infos = sorted(reels, key=lambda info: info.reel)
        self._read = read
        self._number = -1
        self._reel: Reel | None = None
        self._done = 0
        self._before = before
        self.live = Live()

    @property
    def shown(self) -> Model | None:
        """What was shown last, here or in the session before."""
        return self.live.model or self._before

    def seek(self, position: float) -> None:
        """To what was shown at a moment; before the first one nothing was."""
        number = bisect_right(self._infos, position, key=lambda info: info.first_local) - 1
        if number < 0:
            self._before = self.shown
            self._number, self._reel, self._done, self.live = -1, None, 0, Live()
            return
        self._open(number)
        self._apply(position)

    def advance(self, position: float) -> bool:
        """On to a later moment; whether something else is shown since."""
        before = self.live
        self._apply(position)
        while self._number + 1 < len(self._infos) and self._infos[self._number + 1].first_local <= position:
            self._open(self._number + 1)
            self._apply(position)
        return self.live is not before

    def reads(self, position: float) -> bool:
        """Whether going on to this moment takes reading the file."""
        following = self._number + 1
        return following < len(self._infos) and self._infos[following].first_local <= position

    def next_at(self, position: float) -> float | None:
        """When the next frame after this moment was shown."""
        if self._reel is not None:
            for frame in self._reel.frames[self._done :]:
                if frame.local > position:
                    return frame.local
        following = self._number + 1
        return self._infos[following].first_local if following < len(self._infos) else None

    def before(self, position: float) -> float | None:
        """When the last frame before this moment was shown."""
        number = bisect_right(self._infos, position, key=lambda info: info.first_local) - 1
        if number >= 0 and self._infos[number].first_local == position:
            number -= 1
        if number < 0:
            return None
        if number != self._number:
            self._open(number)
        moments = [frame.local for frame in self._frames() if frame.local < position]
        return moments[-1] if moments else self._infos[number].first_local

    def _frames(self) -> tuple[Frame, ...]:
        return () if self._reel is None else self._reel.frames

    def _open(self, number: int) -> None:
        self._reel = self._read(self._infos[number])
        self._number, self._done, self.live = number, 0, _after(self.shown, self._reel.live)

    def _apply(self, position: float) -> None:
        frames = self._frames()
        while self._done < len(frames) and frames[self._done].local <= position:
            self.live = frames[self._done].after(self.live)
            self._done += 1


class Player:
    """All recordings, and where in them the operator is."""

    def __init__(self, reels: Sequence[ReelInfo], read: Read) -> None:
        self._reels = tuple(reels)
        self._read = read
        self._began = {
            session: min(info.began for info in self._reels if info.session == session)
            for session in {info.session for info in self._reels}
        }
        self._order = sorted(self._began, key=self._began.__getitem__)
        self.session = ""
        self.position = 0.0
        self.tracks: dict[str, Track] = {}
        self._shown: dict[str, Model | None] = {}
        if self._order:
            self.choose(self._order[-1])

    @property
    def newest(self) -> float:
        """The end of all recordings, in epoch seconds."""
        return max((info.ended for info in self._reels), default=0.0)

    @property
    def planes(self) -> tuple[str, ...]:
        """The names of the control planes of all sessions."""
        return tuple(sorted({info.plane for info in self._reels}))

    @property
    def place(self) -> str:
        """Whose control plane it was."""
        return next((info.place for info in self._of_session()), "")

    @property
    def bounds(self) -> tuple[float, float]:
        """The first and the last moment of the session, by its own clock."""
        infos = self._of_session()
        return (
            min((info.first_local for info in infos), default=0.0),
            max((info.last_local for info in infos), default=0.0),
        )

    def at(self, position: float) -> float:
        """The control plane's time at a moment of the session, in epoch seconds."""
        infos = [info for info in self._of_session() if info.first_local <= position] or self._of_session()[:1]
        if not infos:
            return 0.0
        last = max(infos, key=lambda info: info.first_local)
        return last.began + position - last.first_local

    def choose(self, session: str) -> None:
        """The beginning of a session."""
        self.session = session
        planes = {info.plane for info in self._of_session()}
        self._shown.update({plane: track.shown for plane, track in self.tracks.items()})
        self.tracks = {
            plane: Track(
                [info for info in self._of_session() if info.plane == plane], self._read, self._shown.get(plane)
            )
            for plane in sorted(planes)
        }
        self.seek(self.bounds[0])

    def seek(self, position: float) -> None:
        """To a moment of the session; not beyond its ends."""
        first, last = self.bounds
        self.position = max(first, min(last, position))
        for track in self.tracks.values():
            track.seek(self.position)

    def seek_time(self, moment: float) -> None:
        """To a time (epoch seconds): in the latest session that holds it, else to the next beginning, else the last."""
        holding = [session for session in self._order if self._began[session] <= moment <= self._ended(session)]
        later = [session for session in self._order if self._began[session] > moment]
        session = holding[-1] if holding else later[0] if later else self._order[-1] if self._order else ""
        if not session:
            return
        self.choose(session)
        infos = [info for info in self._of_session() if info.began <= moment]
        if infos:
            last = max(infos, key=lambda info: info.began)
            self.seek(last.first_local + moment - last.began)

    def advance(self, position: float) -> None:
        """On to a later moment."""
        self.position = min(position, self.bounds[1])
        for track in self.tracks.values():
            track.advance(self.position)

    def reads(self, position: float) -> bool:
        """Whether going on to this moment takes reading the file."""
        return any(track.reads(position) for track in self.tracks.values())

    def frame(self, step: int) -> None:
        """To the next frame (1) or to the one before (-1)."""
        if step > 0:
            moments = [found for track in self.tracks.values() if (found := track.next_at(self.position)) is not None]
            if moments:
                self.advance(min(moments))
        else:
            moments = [found for track in self.tracks.values() if (found := track.before(self.position)) is not None]
            if moments:
                self.seek(max(moments))

    def next_session(self) -> bool:
        """To the beginning of the next session; whether there is one."""
        following = self._order.index(self.session) + 1 if self.session in self._order else len(self._order)
        if following >= len(self._order):
            return False
        self.choose(self._order[following])
        return True

    def _ended(self, session: str) -> float:
        return max(info.ended for info in self._reels if info.session == session)

    def _of_session(self) -> list[ReelInfo]:
        return [info for info in self._reels if info.session == self.session]


def _after(before: Model | None, live: Live) -> Live:
    """What is shown, in the place of what was shown before."""
    found = live.model
    if before is None or found is None:
        return live
    model = replace(
        found,
        jobs=before.jobs.replaced(found.jobs),
        nodes=before.nodes.replaced(found.nodes),
        runners=before.runners.replaced(found.runners),
        placements=before.placements.replaced(found.placements),
        apps=before.apps.replaced(found.apps),
    )
    return Live(model, live.link)
