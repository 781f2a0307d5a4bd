"""`funai console --replay [TIME]`: the console on a recording. No client is in here, so nothing can be changed."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

from console.app import ConsoleApp, SteadyClock
from console.live.actions.spec import Permit
from console.live.model import Clock, World
from console.live.recorder.deck import Deck, DeckState, Pause, TapeClock
from console.live.recorder.moments import NoMoment, moment
from console.live.recorder.player import Player
from console.live.recorder.shelf import Shelf
from console.live.recorder.steps import Unreadable
from console.live.themes import DARK
from console.live.words import later, t
from console.messages import ReplayWanted
from console.screens.main import MainScreen
from console.screens.replay import ReplayScreen
from console.settings import recordings_file
from protocol.client.transport import Refused
from protocol.events import AnyEvent
from protocol.running import AppLogEvent, AppLogQuery

_CONFLICT: Final = 409
_RECORDED: Final = later("this is a recording; open the console without --replay to change something")


def _refuse(why: str) -> NoReturn:
    raise Refused(_CONFLICT, t("{why}; open the console without --replay", why=t(why)), "recorded")


async def _unchanged(_: "NoPlane", *__: object, **___: object) -> NoReturn:
    _refuse(later("this is a recording, nothing of it can be changed"))


async def _unread(_: "NoPlane", *__: object, **___: object) -> NoReturn:
    _refuse(later("it is not recorded"))


class NoPlane:
    """In the place of a control plane: refuses everything."""

    create = retry = cancel = set_enabled = reassign = stop_app = rollback = pin_release = _unchanged
    start_drain = pause_drain = resume_drain = undo_drain = cancel_drain = set_drained = collect = _unchanged
    retry_operation = abandon_operation = retry_webhook = _unchanged
    snapshot = get = page = apps = app = releases = app_stats = node_stats = singletons = _unread
    operations = webhooks = audit = drains = drain_plan = preview_drain = _unread
    nodes = workspaces = workspace = moves = placements = app_deletions = app_detail = accounts = _unread
    start_workspace = stop_workspace = start_move = drain_node = cordon = _unchanged
    deploy_for_owner = roll_back_for_owner = stop_for_owner = delete_for_owner = _unchanged
    create_account = enable_account = set_account_role = set_account_password = _unchanged

    @property
    def api_plane(self) -> "NoPlane":
        """Refuses everything, too."""
        return self

    @property
    def workspace_plane(self) -> "NoPlane":
        """Refuses everything, too."""
        return self

    async def follow(self, after: int) -> AsyncIterator[AnyEvent]:
        """Raises Refused."""
        _refuse(later("it is not recorded"))
        yield

    async def log(self, job_id: str, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """Raises Refused."""
        _refuse(later("logs are not recorded"))
        yield b""

    async def app_log(self, app_id: str, wanted: AppLogQuery | None = None) -> AsyncGenerator[AppLogEvent, None]:
        """Raises Refused."""
        _refuse(later("logs are not recorded"))
        yield


class ReplayApp(ConsoleApp):
    """Shows a recording, from where the player is."""

    def __init__(
        self, player: Player, real: Clock | None = None, pause: Pause = asyncio.sleep, look: str = DARK
    ) -> None:
        tape = TapeClock(player.position)
        permits = dict.fromkeys(player.planes, Permit(write=False, why=_RECORDED))
        planes = {name: NoPlane() for name in player.planes}
        super().__init__(planes, t("recording of {place}", place=player.place), tape, look=look, permits=permits)
        self._player = player
        self.deck = Deck(player, tape, self._moved, real or SteadyClock(), pause)

    def make_screen(self, clock: Clock, place: str, permits: Mapping[str, Permit] | None) -> MainScreen:
        """With the bar."""
        return ReplayScreen(clock, place, permits)

    def begin(self) -> None:
        """Play instead of following."""
        self.run_worker(self.deck.run(), name="deck", group="feed", exit_on_error=False)

    def _moved(self, world: World, state: DeckState) -> None:
        self.show(world)
        if isinstance(self.main, ReplayScreen):
            self.main.moved(state)

    def on_replay_wanted(self, event: ReplayWanted) -> None:
        """Move through time."""
        self.run_worker(self._move(event), exit_on_error=False)

    async def _move(self, wish: ReplayWanted) -> None:
        match wish.kind:
            case "toggle":
                await self.deck.toggle()
            case "frame":
                await self.deck.frame(int(wish.value))
            case "nudge":
                await self.deck.nudge(wish.value)
            case "faster":
                await self.deck.faster(int(wish.value))
            case "share":
                await self.deck.seek_share(wish.value)
            case "time":
                await self._to(wish.text)
            case _:
                self.main.table.focus()

    async def _to(self, text: str) -> None:
        self.main.table.focus()
        try:
            found = moment(text, datetime.fromtimestamp(self._player.newest, UTC))
        except NoMoment as problem:
            self.main.say(str(problem), problem=True)
        else:
            await self.deck.seek_time(found.timestamp())


def run(time: str | None = None, path: Path | None = None, look: str = "") -> int:
    """Play what was recorded, from a time on, else the last session; the exit code (1: nothing is recorded, 2: it is no
    time)."""
    shelf = Shelf(path or recordings_file())
    try:
        player = Player(shelf.reels(), shelf.read)
        if not player.session:
            sys.stderr.write(f"funai: nothing is recorded in {shelf.path}; the console records while it is open\n")
            return 1
        if time is not None:
            player.seek_time(moment(time, datetime.fromtimestamp(player.newest, UTC)).timestamp())
    except NoMoment as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 2
    except (Unreadable, sqlite3.Error, OSError) as problem:
        sys.stderr.write(f"funai: {shelf.path} cannot be played: {problem}\n")
        return 1
    asyncio.run(ReplayApp(player, look=look or DARK).run_async())
    return 0
