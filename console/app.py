"""The console: the feed's newest value goes to the screen, the screen's wishes go to the control plane."""

import asyncio
import sys
import time
from contextlib import aclosing
from functools import partial
from typing import ClassVar, Protocol

from textual.app import App
from textual.binding import BindingType
from textual.theme import Theme

from console.connect import admin
from console.live.commands import Commands, explain, explain_change
from console.live.feed import FRAME_SECONDS, Feed, Source
from console.live.logs.book import Origin, Piece
from console.live.logs.follow import Logs, pieces
from console.live.model import Clock, Live, World
from console.live.recorder.recorder import Recorder
from console.live.recorder.shelf import Shelf
from console.live.views.jobs import short
from console.messages import (
    CancelWanted,
    CommandDone,
    CordonWanted,
    DeployWanted,
    LogEnded,
    LogPieces,
    LogWanted,
    WorldChanged,
)
from console.screens.deploy_form import DeployForm
from console.screens.main import MainScreen
from console.settings import NotConfigured, read, recordings_file, records
from protocol.client.transport import ClientError, Transport

THEME = Theme(
    name="funai",
    primary="#7aa2d6",
    secondary="#8f9bb3",
    accent="#d6a35c",
    success="#7fb685",
    warning="#d9a441",
    error="#e0707a",
    foreground="#d5dae3",
    background="#14171d",
    surface="#14171d",
    panel="#1c2129",
    dark=True,
)


class ControlPlane(Source, Logs, Commands, Protocol):
    """Everything the console asks of the control plane."""


class SteadyClock:
    """The machine's monotonic clock."""

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


class ConsoleApp(App[None]):
    """Reads the control plane, and changes it only on an operator's confirmed wish."""

    CSS_PATH = "console.tcss"
    TITLE = "funai"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self, plane: ControlPlane, place: str, clock: Clock | None = None, recorder: Recorder | None = None
    ) -> None:
        super().__init__()
        self._plane = plane
        self._clock = clock = clock or SteadyClock()
        self.main = self.make_screen(clock, place)
        self._world = World()
        self._pieces: list[Piece] = []
        self._feed = Feed(plane, lambda live: self._show("", live), clock, tape=recorder.tape("") if recorder else None)

    def make_screen(self, clock: Clock, place: str) -> MainScreen:
        """The one main screen."""
        return MainScreen(clock, place)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own, for themes that do not name them."""
        return {"quiet": "#a0a8b8", "cursor": "#26344a", "cursor-focus": "#2c4061"}

    def on_mount(self) -> None:
        """Show the screen and begin to follow."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self.main)
        self.begin()

    def begin(self) -> None:
        """Follow the control plane."""
        self.run_worker(self._feed.run(), name="feed", group="feed", exit_on_error=False)

    def _show(self, plane: str, live: Live) -> None:
        self._world = self._world.with_plane(plane, live)
        self.post_message(WorldChanged(self._world))

    def on_world_changed(self, event: WorldChanged) -> None:
        """Hand the newest value to the screen."""
        self.main.world = event.world

    def on_log_wanted(self, event: LogWanted) -> None:
        """Follow the logs that are shown, and no others."""
        self.workers.cancel_group(self, "log")
        self._pieces = []
        for number, origin in enumerate(event.origins):
            self.run_worker(self._follow_log(event.origins, number, origin), group="log", exit_on_error=False)

    async def _follow_log(self, origins: tuple[Origin, ...], number: int, origin: Origin) -> None:
        try:
            async with aclosing(pieces(self._plane, origin, number, self._server_now)) as found:
                async for piece in found:
                    self._gather(origins, piece)
        except ClientError as error:
            problem: str | None = explain(error, "The log cannot be read")
        else:
            problem = None
        self._hand_on(origins, self._pieces)
        self.main.post_message(LogEnded(origins, number, problem))

    def _gather(self, origins: tuple[Origin, ...], piece: Piece) -> None:
        """One message for each frame, however many pieces come."""
        if not self._pieces:
            self.set_timer(FRAME_SECONDS, partial(self._hand_on, origins, self._pieces))
        self._pieces.append(piece)

    def _hand_on(self, origins: tuple[Origin, ...], gathered: list[Piece]) -> None:
        if gathered:
            self.main.post_message(LogPieces(origins, tuple(gathered)))
            gathered.clear()

    def _server_now(self) -> int:
        """Epoch milliseconds by the control plane's clock; 0 before anything was heard of it."""
        live = self._world.planes.get("")
        if live is None or live.model is None:
            return 0
        return int(live.model.server_time(self._clock.monotonic()).timestamp() * 1000)

    def on_cancel_wanted(self, event: CancelWanted) -> None:
        """Cancel a job."""
        self.run_worker(self._cancel(event.job_id, event.app_id), exit_on_error=False)

    async def _cancel(self, job_id: str, app_id: str) -> None:
        name = f"job {short(job_id)} of app {app_id}"
        try:
            job = await self._plane.cancel(job_id)
        except ClientError as error:
            self.post_message(CommandDone(explain_change(error, f"{name} was not cancelled"), problem=True))
        else:
            self.post_message(CommandDone(f"{name} is {job.status.value}."))

    def on_cordon_wanted(self, event: CordonWanted) -> None:
        """Drain or undrain a node."""
        self.run_worker(self._cordon(event.name, event.enabled), exit_on_error=False)

    async def _cordon(self, name: str, enabled: bool) -> None:
        try:
            await self._plane.set_enabled(name, enabled=enabled)
        except ClientError as error:
            self.post_message(CommandDone(explain_change(error, f"Node {name} was not changed"), problem=True))
        else:
            takes = "takes new deployments again" if enabled else "takes no new deployments"
            self.post_message(CommandDone(f"Node {name} {takes}."))

    def on_deploy_wanted(self, event: DeployWanted) -> None:
        """Create a job."""
        self.run_worker(self._deploy(event), exit_on_error=False)

    async def _deploy(self, wish: DeployWanted) -> None:
        form = self.screen
        try:
            job = await self._plane.create(wish.order, idempotency_key=wish.idempotency_key)
        except ClientError as error:
            self.post_message(CommandDone(explain_change(error, "Nothing was deployed"), problem=True))
        else:
            if isinstance(form, DeployForm) and form.is_current:
                form.dismiss()
            self.post_message(CommandDone(f"Job {short(job.id)} for app {job.app_id} was created."))

    def on_command_done(self, event: CommandDone) -> None:
        """Say how it went, in the form while it is open."""
        if event.problem and isinstance(self.screen, DeployForm):
            self.screen.refuse(event.sentence)
        self.main.say(event.sentence, problem=event.problem)


def run() -> int:
    """Open the console on this terminal until the operator leaves it; the exit code (2: it is not configured)."""
    try:
        settings = read()
    except NotConfigured as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 2
    client = admin(settings)
    recorder = Recorder(Shelf(recordings_file()), settings.place) if records() else None
    try:
        asyncio.run(_open(ConsoleApp(client, settings.place, recorder=recorder), client.transport))
    finally:
        if recorder is not None:
            recorder.close()
    if recorder is not None and recorder.problem:
        sys.stderr.write(f"funai: {recorder.problem}; FUNAI_RECORD=off stops recording\n")
    return 0


async def _open(app: ConsoleApp, transport: Transport) -> None:
    async with transport:
        await app.run_async()
