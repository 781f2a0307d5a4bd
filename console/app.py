"""The console: the feed's newest value goes to the screen, the screen's wishes go to the control plane."""

import asyncio
import sys
import time
from typing import ClassVar, Protocol

from textual.app import App
from textual.binding import BindingType
from textual.theme import Theme

from console.connect import admin
from console.live.commands import Commands, explain, explain_change
from console.live.feed import Feed, LogSource, Source, log_texts
from console.live.model import Clock, Live, World
from console.live.themes import DARK, THEMES, variables
from console.live.views.jobs import short
from console.messages import (
    CancelWanted,
    CommandDone,
    CordonWanted,
    DeployWanted,
    LogEnded,
    LogText,
    LogWanted,
    WorldChanged,
)
from console.screens.deploy_form import DeployForm
from console.screens.main import MainScreen
from console.settings import NotConfigured, read
from protocol.client.transport import ClientError, Transport


def theme_of(name: str) -> Theme:
    """A palette as Textual wants it."""
    palette = THEMES[name]
    return Theme(
        name=f"funai-{name}",
        primary=palette.primary,
        secondary=palette.secondary,
        accent=palette.accent,
        success=palette.good,
        warning=palette.warn,
        error=palette.bad,
        foreground=palette.foreground,
        background=palette.background,
        surface=palette.background,
        panel=palette.panel,
        dark=palette.dark,
        ansi=palette.ansi,
        variables=dict(variables(palette)),
    )


class ControlPlane(Source, LogSource, Commands, Protocol):
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

    def __init__(self, plane: ControlPlane, place: str, clock: Clock | None = None, *, look: str = DARK) -> None:
        super().__init__()
        self._look = look
        self._plane = plane
        clock = clock or SteadyClock()
        self.main = MainScreen(clock, place)
        self._world = World()
        self._feed = Feed(plane, lambda live: self._show("", live), clock)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own, for themes that do not name them."""
        return dict(variables(THEMES[DARK]))

    def on_mount(self) -> None:
        """Show the screen and begin to follow."""
        for name in THEMES:
            self.register_theme(theme_of(name))
        self.theme = f"funai-{self._look}"
        self.push_screen(self.main)
        self.run_worker(self._feed.run(), name="feed", group="feed", exit_on_error=False)

    def _show(self, plane: str, live: Live) -> None:
        self._world = self._world.with_plane(plane, live)
        self.post_message(WorldChanged(self._world))

    def on_world_changed(self, event: WorldChanged) -> None:
        """Hand the newest value to the screen."""
        self.main.world = event.world

    def on_log_wanted(self, event: LogWanted) -> None:
        """Follow one log at a time."""
        self.workers.cancel_group(self, "log")
        if event.job_id is not None:
            self.run_worker(self._follow_log(event.job_id), group="log", exclusive=True, exit_on_error=False)

    async def _follow_log(self, job_id: str) -> None:
        try:
            async for text in log_texts(self._plane, job_id):
                self.main.post_message(LogText(job_id, text))
        except ClientError as error:
            self.main.post_message(LogEnded(job_id, explain(error, "The log cannot be read")))
        else:
            self.main.post_message(LogEnded(job_id))

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


def run(look: str = DARK) -> int:
    """Open the console on this terminal until the operator leaves it; the exit code (2: it is not configured)."""
    try:
        settings = read()
    except NotConfigured as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 2
    client = admin(settings)
    asyncio.run(_open(ConsoleApp(client, settings.place, look=look), client.transport))
    return 0


async def _open(app: ConsoleApp, transport: Transport) -> None:
    async with transport:
        await app.run_async()
