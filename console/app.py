"""The console: the feed's newest value goes to the screen, the screen's wishes go to the control plane."""

import asyncio
import sys
import time
from collections.abc import Mapping
from typing import ClassVar, Protocol

from textual.app import App
from textual.binding import Binding, BindingType
from textual.theme import Theme

from console.connect import admin
from console.live.actions.gate import NotSent, carry_out, failed
from console.live.actions.lookup import look_up
from console.live.actions.orders import DeployApp, Order
from console.live.actions.registry import action_of
from console.live.actions.spec import Permit
from console.live.books import Books
from console.live.commands import Commands, explain, explain_change
from console.live.feed import Feed, LogSource, Source, log_texts
from console.live.keymap import checked
from console.live.library import Library
from console.live.model import Clock, Live, World
from console.messages import (
    CommandDone,
    CopyWanted,
    DeployWanted,
    LogEnded,
    LogText,
    LogWanted,
    LookedUp,
    LookUpWanted,
    OlderWanted,
    OrdersWanted,
    TopicsWanted,
    WorldChanged,
)
from console.screens.deploy_form import DeployForm
from console.screens.main import MainScreen, default_keys
from console.settings import NotConfigured, read
from console.widgets import clipboard
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


class ControlPlane(Source, LogSource, Commands, Books, Protocol):
    """Everything the console asks of the control plane."""


class SteadyClock:
    """The machine's monotonic clock."""

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


class ConsoleApp(App[None], inherit_bindings=False):
    """Reads the control plane, and changes it only on an operator's confirmed wish."""

    CSS_PATH = "console.tcss"
    TITLE = "funai"
    ENABLE_COMMAND_PALETTE = False
    #: Not Textual's own: ctrl+q is a prefix of flow control, and of many a tmux.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "leave_word", "Leave", show=False, id="leave-word")]

    def __init__(
        self,
        plane: ControlPlane,
        place: str,
        clock: Clock | None = None,
        *,
        permits: Mapping[str, Permit] | None = None,
        keymap: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._plane = plane
        self._own_keys = dict(keymap or {})
        clock = clock or SteadyClock()
        self.main = MainScreen(clock, place, permits)
        self._world = World()
        self._library = Library(plane, clock, lambda: self._show("", self._world.planes.get("", Live())))
        self._feed = Feed(self._library.tapped(plane), lambda live: self._show("", live), clock)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own, for themes that do not name them."""
        return {"quiet": "#a0a8b8", "cursor": "#26344a", "cursor-focus": "#2c4061"}

    def on_mount(self) -> None:
        """Show the screen and begin to follow."""
        self.register_theme(THEME)
        self.theme = THEME.name
        chosen = checked(self._own_keys, default_keys())
        self.set_keymap(dict(chosen.keys))
        self.main.keymap = chosen
        self.push_screen(self.main)
        self.run_worker(self._feed.run(), name="feed", group="feed", exit_on_error=False)
        self.run_worker(self._library.run(), name="library", group="library", exit_on_error=False)

    def _show(self, plane: str, live: Live) -> None:
        self._world = self._world.with_plane(plane, self._library.furnish(live))
        self.post_message(WorldChanged(self._world))

    def on_world_changed(self, event: WorldChanged) -> None:
        """Hand the newest value to the screen."""
        self.main.world = event.world

    def on_topics_wanted(self, event: TopicsWanted) -> None:
        """Read what the shown page needs."""
        self._library.want(event.topics.get("", ()))

    def on_older_wanted(self, event: OlderWanted) -> None:
        """Read further back."""
        self._library.want_older(event.topic)

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

    def plane_of(self, name: str) -> ControlPlane:
        """The control plane of that name."""
        return self._plane

    def on_look_up_wanted(self, event: LookUpWanted) -> None:
        """Read what an action needs before it can be asked about."""
        self.run_worker(self._look_up(event), group="look-up", exclusive=True, exit_on_error=False)

    async def _look_up(self, wish: LookUpWanted) -> None:
        action = action_of(wish.action)
        try:
            found = await look_up(self.plane_of(wish.aim.plane), action, wish.aim)
        except ClientError as error:
            self.main.post_message(LookedUp(wish.ticket, None, explain(error, f"{action.title} cannot be asked about")))
        else:
            self.main.post_message(LookedUp(wish.ticket, found))

    def on_orders_wanted(self, event: OrdersWanted) -> None:
        """Carry out what the operator confirmed."""
        self.run_worker(self._carry_out(event), exit_on_error=False)

    async def _carry_out(self, wish: OrdersWanted) -> None:
        """One after another; what fails does not keep the others back."""
        outcomes = [await self._sent(plane, order, key) for plane, order, key in wish.orders]
        problems = [done.sentence for done in outcomes if done.problem]
        if not wish.many:
            for done in outcomes:
                self.post_message(done)
        elif problems:
            first = f"{len(problems)} of {wish.many} failed: {problems[0]}"
            self.post_message(CommandDone(first, problem=True))
        else:
            self.post_message(CommandDone(f"Done for {wish.many}. {outcomes[-1].sentence}"))

    async def _sent(self, plane: str, order: Order, key: str) -> CommandDone:
        try:
            return CommandDone(await carry_out(self.plane_of(plane), order, key))
        except ClientError as error:
            return CommandDone(explain_change(error, failed(order)), problem=True)
        except NotSent as error:
            return CommandDone(str(error), problem=True)

    def on_copy_wanted(self, event: CopyWanted) -> None:
        """Put a text on the clipboards that there are."""
        self.copy_to_clipboard(event.text)
        self.run_worker(self._copied(event), group="copy", exit_on_error=False)

    async def _copied(self, wish: CopyWanted) -> None:
        native = await asyncio.to_thread(clipboard.put, wish.text)
        how = "" if native else " through the terminal, if it allows that (OSC 52)"
        self.post_message(CommandDone(f"Copied {wish.what}{how}."))

    def action_leave_word(self) -> None:
        """Say how the console is left: ctrl+c ends nothing here."""
        self.main.say("Press q to leave the console.")

    def on_deploy_wanted(self, event: DeployWanted) -> None:
        """Create a job."""
        self.run_worker(self._deploy(event), exit_on_error=False)

    async def _deploy(self, wish: DeployWanted) -> None:
        form, why = self.screen, self.main.stand().why_not(wish.plane)
        if why:
            self.post_message(CommandDone(f"Nothing was deployed: {why}.", problem=True))
            return
        done = await self._sent(wish.plane, DeployApp(wish.order), wish.idempotency_key)
        if not done.problem and isinstance(form, DeployForm) and form.is_current:
            form.dismiss()
        self.post_message(done)

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
    permits = {"": Permit(write=settings.write)}
    asyncio.run(_open(ConsoleApp(client, settings.place, permits=permits), client.transport))
    return 0


async def _open(app: ConsoleApp, transport: Transport) -> None:
    async with transport:
        await app.run_async()
