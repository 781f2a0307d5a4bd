"""The console: the feed's newest value goes to the screen, the screen's wishes go to the control plane."""

import asyncio
import gc
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from types import MappingProxyType
from typing import ClassVar, Final, Protocol

from textual.app import App
from textual.binding import Binding, BindingType

from console.columns import ChosenColumns
from console.connect import admin
from console.live.actions.gate import NotSent, carry_out
from console.live.actions.gate import failed as failure_of
from console.live.actions.lookup import look_up
from console.live.actions.orders import AttachTerminal, Order
from console.live.actions.registry import action_of
from console.live.actions.spec import Permit
from console.live.books import Books
from console.live.commands import Commands
from console.live.feed import FRAME_SECONDS, Feed, Source
from console.live.keymap import checked
from console.live.library import Library
from console.live.logs.book import Origin, Piece
from console.live.logs.follow import Logs, pieces
from console.live.model import Clock, Live, World
from console.live.recorder.recorder import Recorder
from console.live.recorder.shelf import Shelf
from console.live.reduce import MOST_JOBS
from console.live.refusals import explain, explain_change
from console.live.themes import DARK, THEMES, look_of, variables
from console.live.trail import Place
from console.live.words import later, t
from console.messages import (
    ColumnsChosen,
    CommandDone,
    CopyWanted,
    FormSent,
    LogEnded,
    LogPieces,
    LogWanted,
    LookedUp,
    LookUpWanted,
    OlderWanted,
    OrdersWanted,
    TopicsWanted,
    WorldChanged,
)
from console.screens.attached import attach
from console.screens.form import Form
from console.screens.main import MainScreen, default_keys
from console.settings import ConsoleSettings, NotConfigured, columns_path, read_all, recordings_file, records
from console.widgets import clipboard
from console.widgets.theme import theme_of
from protocol.client.transport import ClientError

#: Whatever is old by then is looked through once, and then left out of later searches for garbage: with 100,000
#: objects each of those would stop the console for longer than a frame. What a control plane tells first, and the
#: program itself, are left out at once: nothing of them is garbage.
_TIDY_SECONDS: Final = 30.0


class ControlPlane(Source, Logs, Commands, Books, Protocol):
    """Everything the console asks of the control plane."""


class SteadyClock:
    """The machine's monotonic clock."""

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic()


def _tidy() -> None:
    gc.collect()
    gc.freeze()


class ConsoleApp(App[None], inherit_bindings=False):
    """Reads the control plane, and changes it only on an operator's confirmed wish."""

    CSS_PATH = "console.tcss"
    TITLE = "funai"
    ENABLE_COMMAND_PALETTE = False
    #: Not Textual's own: ctrl+q is a prefix of flow control, and of many a tmux.
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "leave_word", "Leave", show=False, id="leave-word")]

    def __init__(
        self,
        plane: ControlPlane | Mapping[str, ControlPlane],
        place: str,
        clock: Clock | None = None,
        *,
        look: str = DARK,
        permits: Mapping[str, Permit] | None = None,
        keymap: Mapping[str, str] | None = None,
        most_jobs: int = MOST_JOBS,
        columns: ChosenColumns | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        """One control plane, or several by the names that the operator gave them; `look`: a theme's name."""
        super().__init__()
        self._look = look
        self._wear(look)
        self._planes = plane if isinstance(plane, Mapping) else {"": plane}
        self._own_keys = dict(keymap or {})
        self._clock = clock = clock or SteadyClock()
        self._columns = columns or ChosenColumns(None, "", {})
        self.main = self.make_screen(clock, place, permits)
        self._world = World(MappingProxyType(dict.fromkeys(self._planes, Live())))
        self.main.set_reactive(MainScreen.world, self._world)
        self._pieces: list[Piece] = []
        self._known: frozenset[str] = frozenset()
        self._libraries = {
            name: Library(each, clock, partial(self._show_again, name)) for name, each in self._planes.items()
        }
        self._feeds = {
            name: Feed(
                self._libraries[name].tapped(each),
                partial(self._show, name),
                clock,
                most_jobs=most_jobs,
                tape=recorder.tape(name) if recorder is not None else None,
            )
            for name, each in self._planes.items()
        }

    def _wear(self, look: str) -> None:
        """Begin in this theme: a sheet of styles that is read in one and then in another is read twice."""
        for name in THEMES:
            self.register_theme(theme_of(name))
        palette, theme = THEMES[look], f"funai-{look}"
        if palette.ansi:
            return  # which colours are the terminal's own is only settled while the console runs
        self.set_reactive(App.theme, theme)
        self.stylesheet.set_variables(self.get_css_variables())
        modes = {"-dark-mode": palette.dark, "-light-mode": not palette.dark, f"-theme-{theme}": True}
        self.update_classes(modes, update=False)

    def make_screen(self, clock: Clock, place: str, permits: Mapping[str, Permit] | None) -> MainScreen:
        """The one main screen."""
        return MainScreen(clock, place, permits, self._columns)

    @property
    def _plane(self) -> ControlPlane:
        """The control plane of the chosen object."""
        return self.plane_of(self.main.plane)

    def plane_of(self, name: str) -> ControlPlane:
        """The control plane of that name; the first one when nothing was chosen."""
        return self._planes.get(name) or next(iter(self._planes.values()))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of our own, for themes that do not name them."""
        return dict(variables(THEMES[DARK]))

    def on_mount(self) -> None:
        """Show the screen and begin to follow."""
        self.theme = f"funai-{self._look}"
        chosen = checked(self._own_keys, default_keys())
        self.set_keymap(dict(chosen.keys))
        self.main.keymap = chosen
        self.push_screen(self.main)
        self.begin()
        for name, library in self._libraries.items():
            of = f"library {name}"
            self.run_worker(library.run(), name=of.rstrip(), group=of, exit_on_error=False)
        self.set_interval(_TIDY_SECONDS, _tidy)

    def begin(self) -> None:
        """Follow the control planes."""
        for name, feed in self._feeds.items():
            self.run_worker(feed.run(), name=f"feed {name}".rstrip(), group=f"feed {name}", exit_on_error=False)

    def _show(self, plane: str, live: Live) -> None:
        self._world = self._world.with_plane(plane, self._libraries[plane].furnish(live))
        self.post_message(WorldChanged(self._world))

    def _show_again(self, plane: str) -> None:
        if plane in self._world.planes:
            self._show(plane, self._world.planes[plane])

    def show(self, world: World) -> None:
        """Show these control planes and no others."""
        furnished = {name: self._libraries[name].furnish(live) for name, live in world.planes.items()}
        self._world = World(MappingProxyType(furnished))
        self.post_message(WorldChanged(self._world))

    def on_world_changed(self, event: WorldChanged) -> None:
        """Hand the newest value to the screen."""
        self.main.world = event.world
        known = frozenset(name for name, live in event.world.planes.items() if live.model is not None)
        if known != self._known:
            self._known = known
            gc.freeze()

    def on_topics_wanted(self, event: TopicsWanted) -> None:
        """Read what the shown page needs."""
        for name, library in self._libraries.items():
            library.want(event.topics.get(name, ()))

    def on_older_wanted(self, event: OlderWanted) -> None:
        """Read further back."""
        library = self._libraries.get(event.plane)
        if library is not None:
            library.want_older(event.topic)

    def on_columns_chosen(self, event: ColumnsChosen) -> None:
        """Keep the choice for the next time."""
        self._columns.keep(event.view, event.names)

    def on_log_wanted(self, event: LogWanted) -> None:
        """Follow the logs that are shown, and no others."""
        self.workers.cancel_group(self, "log")
        self._pieces = []
        for number, origin in enumerate(event.origins):
            self.run_worker(self._follow_log(event.origins, number, origin), group="log", exit_on_error=False)

    async def _follow_log(self, origins: tuple[Origin, ...], number: int, origin: Origin) -> None:
        plane, now = self.plane_of(origin.plane), partial(self._server_now, origin.plane)
        try:
            async with aclosing(pieces(plane, origin, number, now)) as found:
                async for piece in found:
                    self._gather(origins, piece)
        except ClientError as error:
            problem: str | None = explain(error, t("The log cannot be read"))
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

    def _server_now(self, plane: str) -> int:
        """Epoch milliseconds by a control plane's clock; 0 before anything was heard of it."""
        live = self._world.planes.get(plane)
        if live is None or live.model is None:
            return 0
        return int(live.model.server_time(self._clock.monotonic()).timestamp() * 1000)

    def on_look_up_wanted(self, event: LookUpWanted) -> None:
        """Read what an action needs before it can be asked about."""
        self.run_worker(self._look_up(event), group="look-up", exclusive=True, exit_on_error=False)

    async def _look_up(self, wish: LookUpWanted) -> None:
        action = action_of(wish.action)
        try:
            found = await look_up(self.plane_of(wish.aim.plane), action, wish.aim)
        except ClientError as error:
            failed = t("{action} cannot be asked about", action=t(action.title))
            self.main.post_message(LookedUp(wish.ticket, None, explain(error, failed)))
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
            words = later("{count} of {many} failed: {problem}")
            first = t(words, count=len(problems), many=wish.many, problem=problems[0])
            self.post_message(CommandDone(first, problem=True))
        else:
            said = t("Done for {many}. {last}", many=wish.many, last=outcomes[-1].sentence)
            self.post_message(CommandDone(said))

    async def _sent(self, plane: str, order: Order, key: str) -> CommandDone:
        try:
            if isinstance(order, AttachTerminal):
                return await attach(self, order)
            done = await carry_out(self.plane_of(plane), order, key)
            self._libraries[plane if plane in self._libraries else next(iter(self._libraries))].stir()
            return CommandDone(done.sentence, follow=Place("job", done.job_id, plane) if done.job_id else None)
        except ClientError as error:
            return CommandDone(explain_change(error, failure_of(order)), problem=True)
        except NotSent as error:
            return CommandDone(str(error), problem=True)

    def on_copy_wanted(self, event: CopyWanted) -> None:
        """Put a text on the clipboards that there are."""
        self.copy_to_clipboard(event.text)
        self.run_worker(self._copied(event), group="copy", exit_on_error=False)

    async def _copied(self, wish: CopyWanted) -> None:
        # In a browser this machine's clipboard is not the operator's.
        native = not self.is_web and await asyncio.to_thread(clipboard.put, wish.text)
        way = later("Copied {what}.")
        if not native:
            way = later("Copied {what} through the terminal, if it allows that (OSC 52).")
        self.post_message(CommandDone(t(way, what=wish.what)))

    def action_leave_word(self) -> None:
        """Say how the console is left: ctrl+c ends nothing here."""
        self.main.say(t("Press q to leave the console."))

    def on_form_sent(self, event: FormSent) -> None:
        """Carry out what a form orders."""
        self.run_worker(self._send_form(event), exit_on_error=False)

    async def _send_form(self, wish: FormSent) -> None:
        form, why = self.screen, self.main.stand().why_not(wish.plane)
        if why:
            said = t("{failed}: {why}.", failed=failure_of(wish.order), why=why)
            self.post_message(CommandDone(said, problem=True))
            return
        done = await self._sent(wish.plane, wish.order, wish.idempotency_key)
        if not done.problem and isinstance(form, Form) and form.is_current:
            form.dismiss()
        self.post_message(done)

    def on_command_done(self, event: CommandDone) -> None:
        """Say how it went, in the form while it is open."""
        if event.problem and isinstance(self.screen, Form):
            self.screen.refuse(event.sentence)
        self.main.say(event.sentence, problem=event.problem)
        if event.follow is not None:
            self.main.await_job(event.follow)


def run(look: str = "") -> int:
    """Open the console on this terminal until the operator leaves it; the exit code (2: it is not configured).

    Without a `look` it is that of the operator's settings.
    """
    try:
        every = read_all()
    except NotConfigured as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 2
    place = " ".join(settings.name or settings.place for settings in every)
    recorder = Recorder(Shelf(recordings_file()), place) if records() else None
    try:
        asyncio.run(_open(every, place, look, recorder))
    finally:
        if recorder is not None:
            recorder.close()
    if recorder is not None and recorder.problem:
        sys.stderr.write(f"funai: {recorder.problem}; FUNAI_RECORD=off stops recording\n")
    return 0


async def _open(every: Sequence[ConsoleSettings], place: str, look: str, recorder: Recorder | None) -> None:
    """Names are shown where there are several control planes; of one alone the address is."""
    named = {settings.name if len(every) > 1 else "": settings for settings in every}
    clients = {name: admin(settings) for name, settings in named.items()}
    permits = {name: Permit(settings.write, settings.production) for name, settings in named.items()}
    chosen = ChosenColumns(columns_path(), ",".join(settings.name for settings in every), every[0].columns)
    async with AsyncExitStack() as transports:
        for client in clients.values():
            await transports.enter_async_context(client.transport)
        await ConsoleApp(
            clients,
            place,
            look=look or look_of(every[0].theme),
            permits=permits,
            keymap=every[0].keymap,
            columns=chosen,
            recorder=recorder,
        ).run_async()
