"""The console: the feed's newest value goes to the screen, the screen's wishes go to the control plane."""

import asyncio
import gc
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Final, Protocol

from textual.app import App
from textual.binding import BindingType
from textual.theme import Theme

from console.columns import ChosenColumns
from console.connect import admin
from console.live.commands import Commands, explain, explain_change
from console.live.feed import Feed, LogSource, Source, log_texts
from console.live.model import Clock, Live, World
from console.live.reduce import MOST_JOBS
from console.live.views.jobs import short
from console.messages import (
    CancelWanted,
    ColumnsChosen,
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
from console.settings import ConsoleSettings, NotConfigured, columns_path, read_all
from protocol.client.transport import ClientError

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


#: Whatever is old by then is looked through once, and then left out of later searches for garbage: with 100,000
#: objects each of those would stop the console for longer than a frame.
_TIDY_SECONDS: Final = 30.0


class ControlPlane(Source, LogSource, Commands, Protocol):
    """Everything the console asks of the control plane."""


class SteadyClock:
    """The machine's monotonic clock."""

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


def _tidy() -> None:
    gc.collect()
    gc.freeze()


class ConsoleApp(App[None]):
    """Reads the control plane, and changes it only on an operator's confirmed wish."""

    CSS_PATH = "console.tcss"
    TITLE = "funai"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        plane: ControlPlane | Mapping[str, ControlPlane],
        place: str,
        clock: Clock | None = None,
        *,
        most_jobs: int = MOST_JOBS,
        columns: ChosenColumns | None = None,
    ) -> None:
        """One control plane, or several by the names that the operator gave them."""
        super().__init__()
        self._planes = plane if isinstance(plane, Mapping) else {"": plane}
        clock = clock or SteadyClock()
        self._columns = columns or ChosenColumns(None, "", {})
        self.main = MainScreen(clock, place, self._columns)
        self._world = World(MappingProxyType(dict.fromkeys(self._planes, Live())))
        self.main.set_reactive(MainScreen.world, self._world)
        self._feeds = {
            name: Feed(each, partial(self._show, name), clock, most_jobs=most_jobs)
            for name, each in self._planes.items()
        }

    @property
    def _plane(self) -> ControlPlane:
        """The control plane of the chosen object."""
        return self.plane_of(self.main.plane)

    def plane_of(self, name: str) -> ControlPlane:
        """The control plane of that name; the first one when nothing was chosen."""
        return self._planes.get(name) or next(iter(self._planes.values()))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own, for themes that do not name them."""
        return {"quiet": "#a0a8b8", "cursor": "#26344a", "cursor-focus": "#2c4061"}

    def on_mount(self) -> None:
        """Show the screen and begin to follow."""
        self.register_theme(THEME)
        self.theme = THEME.name
        self.push_screen(self.main)
        for name, feed in self._feeds.items():
            self.run_worker(feed.run(), name=f"feed {name}".rstrip(), group=f"feed {name}", exit_on_error=False)
        self.set_interval(_TIDY_SECONDS, _tidy)

    def _show(self, plane: str, live: Live) -> None:
        self._world = self._world.with_plane(plane, live)
        self.post_message(WorldChanged(self._world))

    def on_world_changed(self, event: WorldChanged) -> None:
        """Hand the newest value to the screen."""
        self.main.world = event.world

    def on_columns_chosen(self, event: ColumnsChosen) -> None:
        """Keep the choice for the next time."""
        self._columns.keep(event.view, event.names)

    def on_log_wanted(self, event: LogWanted) -> None:
        """Follow one log at a time."""
        self.workers.cancel_group(self, "log")
        if event.job_id is not None:
            self.run_worker(
                self._follow_log(event.job_id, event.plane), group="log", exclusive=True, exit_on_error=False
            )

    async def _follow_log(self, job_id: str, plane: str) -> None:
        try:
            async for text in log_texts(self.plane_of(plane), job_id):
                self.main.post_message(LogText(job_id, text))
        except ClientError as error:
            self.main.post_message(LogEnded(job_id, explain(error, "The log cannot be read")))
        else:
            self.main.post_message(LogEnded(job_id))

    def on_cancel_wanted(self, event: CancelWanted) -> None:
        """Cancel a job."""
        self.run_worker(self._cancel(event), exit_on_error=False)

    async def _cancel(self, wish: CancelWanted) -> None:
        name = f"job {short(wish.job_id)} of app {wish.app_id}"
        try:
            job = await self.plane_of(wish.plane).cancel(wish.job_id)
        except ClientError as error:
            self.post_message(CommandDone(explain_change(error, f"{name} was not cancelled"), problem=True))
        else:
            self.post_message(CommandDone(f"{name} is {job.status.value}."))

    def on_cordon_wanted(self, event: CordonWanted) -> None:
        """Drain or undrain a node."""
        self.run_worker(self._cordon(event.name, event.enabled, event.plane), exit_on_error=False)

    async def _cordon(self, name: str, enabled: bool, plane: str) -> None:
        try:
            await self.plane_of(plane).set_enabled(name, enabled=enabled)
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
        every = read_all()
    except NotConfigured as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 2
    asyncio.run(_open(every))
    return 0


async def _open(every: Sequence[ConsoleSettings]) -> None:
    """Names are shown where there are several control planes; of one alone the address is."""
    clients = {settings.name if len(every) > 1 else "": admin(settings) for settings in every}
    place = " ".join(settings.name or settings.place for settings in every)
    chosen = ChosenColumns(columns_path(), ",".join(settings.name for settings in every), every[0].columns)
    async with AsyncExitStack() as transports:
        for client in clients.values():
            await transports.enter_async_context(client.transport)
        await ConsoleApp(clients, place, columns=chosen).run_async()
