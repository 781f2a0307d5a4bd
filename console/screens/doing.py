"""What an operator does with the selected or marked objects: every action goes through `do`, whatever asked for it.

A key, the palette and the command line all end here: refused with a reason, asked about, then sent to the gate. What
is meant is what was selected when the question was put.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar, Final

from textual import events
from textual.binding import Binding, BindingsMap, BindingType
from textual.screen import Screen

from console.live.actions.palette import Entry, index, search
from console.live.actions.registry import ACTIONS, action_of
from console.live.actions.spec import (
    Action,
    Aim,
    Danger,
    Found,
    Option,
    Permit,
    Question,
    Reads,
    Stand,
    Standing,
    question,
    refusal,
    shown_in,
    so_many,
)
from console.live.catalog import VIEWS
from console.live.keymap import Keymap
from console.live.model import Clock, World
from console.live.words import t, tn
from console.messages import CopyWanted, LookedUp, LookUpWanted, OrdersWanted
from console.screens.forms import form_of
from console.screens.palette import Palette
from console.widgets.choose import Choose
from console.widgets.confirm import Confirm
from console.widgets.live_table import LiveTable
from console.widgets.text_lines import Status

_GLANCE: Final = 100


def binding_of(action: Action[Any]) -> Binding:
    """The key of an action; one without a key of its own has one that no terminal sends, so that a keymap can give it
    one."""
    key = action.key or f"<{action.id}>"
    return Binding(key, f"do('{action.id}')", action.title, show=action.footer, id=action.id, tooltip=action.tooltip)


class Doing(Screen[None]):
    """The acting half of the main screen; it has a world, a shown table and a clock."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding_of(action) for action in ACTIONS),
        Binding("colon", "command", "Command", key_display=":", id="command", tooltip="Type an action, object or view"),
        Binding("ctrl+p", "command", "Palette", show=False, id="palette", tooltip="Find an action, object or view"),
        Binding("y", "copy", "Copy id", show=False, id="copy", tooltip="Copy the id of the selected or marked objects"),
        Binding("Y", "copy_row", "Copy row", show=False, id="copy.row", tooltip="Copy the selected row as text"),
    ]

    def __init__(self, clock: Clock, permits: Mapping[str, Permit] | None = None) -> None:
        super().__init__()
        self._clock = clock
        self.keymap = Keymap({})
        self._permits = permits or {}
        self._ticket = 0
        self._asking: tuple[Action[Any], tuple[Aim[Any], ...]] | None = None
        self._drawn: tuple[str | bool, ...] = ()

    @property
    def acts_on(self) -> LiveTable:
        """The shown table."""
        raise NotImplementedError

    @property
    def seen(self) -> World:
        """What is shown."""
        raise NotImplementedError

    @property
    def acts_in(self) -> str:
        """The name of the shown table."""
        raise NotImplementedError

    def go_to(self, view: str, key: str | None = None) -> None:
        """Show a table and, with a key, select that object in it."""
        raise NotImplementedError

    # What may be done

    def stand(self) -> Stand:
        """What speaks for and against changes now."""
        local = self._clock.monotonic()
        planes = self.seen.planes.items()
        return Stand({name: Standing(self.permit(name), live.link.fresh(local)) for name, live in planes})

    def permit(self, plane: str) -> Permit:
        """What the context of a control plane allows."""
        return self._permits.get(plane, Permit())

    def aims(self, action: Action[Any]) -> tuple[Aim[Any], ...]:
        """What an action would be meant for now: the marked objects, else the selected one."""
        return self._aims(self.acts_on.targets) if action.noun else ()

    def _aims(self, keys: Sequence[str]) -> tuple[Aim[Any], ...]:
        table = self.acts_on.table
        found = []
        for key in keys:
            value, scene = table.value(key), table.scene(key)
            if value is not None and scene is not None:
                found.append(Aim(key, value, scene, hidden=table.row_of(key) is None))
        return tuple(found)

    def why_not(self, action_id: str) -> str | None:
        """Why an action cannot be done now; None when it can."""
        action = action_of(action_id)
        return refusal(action, self.acts_in, self._glance() if action.noun else (), self.stand())

    def _glance(self) -> tuple[Aim[Any], ...]:
        """What is meant, as far as the footer looks: it is drawn many times a second. `do` looks at all."""
        return self._aims(self.acts_on.targets[:_GLANCE])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Actions of other views are not shown; those that cannot be done now are grey, and say why when tried."""
        if action != "do" or not parameters:
            return True
        wanted = action_of(str(parameters[0]))
        if not shown_in(wanted, self.acts_in):
            return False
        return True if self.why_not(wanted.id) is None else None

    def draw_actions(self) -> None:
        """Bring the footer up to what can be done now. It tells no reasons, and is made anew, which is dear, only when
        something turns grey or is grey no more."""
        stand, aims, view = self.stand(), self._glance(), self.acts_in
        shown = [action for action in ACTIONS if shown_in(action, view)]
        grey = tuple(refusal(each, view, aims if each.noun else (), stand) is not None for each in shown)
        if (view, *grey) != self._drawn:
            self._drawn = (view, *grey)
            self.refresh_bindings()

    @cached_property
    def _keys_of_actions(self) -> frozenset[str]:
        """Keys that may mean an action. To ask what every key means now costs more than moving the cursor does."""
        found = BindingsMap(Doing.BINDINGS)
        found.apply_keymap(dict(self.keymap.keys))
        return frozenset(found.key_to_bindings)

    def on_key(self, event: events.Key) -> None:
        """The key of an action that cannot be done now: say why."""
        active = self.active_bindings.get(event.key) if event.key in self._keys_of_actions else None
        if active is None or active.enabled or not active.binding.action.startswith("do("):
            return
        wanted = active.binding.id or ""
        why = self.why_not(wanted)
        if why:
            event.stop()
            self._refuse(action_of(wanted), why)

    # Doing it

    def action_do(self, action_id: str) -> None:
        """Do an action with what is selected or marked."""
        action = action_of(action_id)
        self.do(action, self.aims(action))

    def do(self, action: Action[Any], aims: tuple[Aim[Any], ...]) -> None:
        """Ask for an action with these objects, or say why it cannot be done."""
        why = refusal(action, self.acts_in, aims, self.stand())
        if why:
            self._refuse(action, why)
        elif action.reads is Reads.FORM:
            self._open_form(action, aims)
        elif action.reads is Reads.NOTHING:
            self._ask(action, aims)
        else:
            self._ticket += 1
            self._asking = (action, aims)
            self._say(t("{action}: asking the control plane …", action=t(action.title)))
            self.post_message(LookUpWanted(action.id, aims[0], self._ticket))

    def on_looked_up(self, event: LookedUp) -> None:
        """What an action needed was read; an answer that nobody waits for any more is dropped."""
        asking, self._asking = self._asking, None
        if asking is None or event.ticket != self._ticket or not self.is_current:
            return
        action, aims = asking
        if event.found is None or event.found.refusal:
            if event.found is None:
                self._say(event.problem, problem=True)
            else:
                self._refuse(action, event.found.refusal or "")
            return
        self._say("")
        self._go_on(action, aims, event.found)

    def _go_on(self, action: Action[Any], aims: tuple[Aim[Any], ...], found: Found) -> None:
        if not found.options:
            chosen = Option("partial", "") if found.partial else None
            self._ask(action, aims, chosen, found.lines)
            return

        def chose(option: Option | None) -> None:
            if option is not None:
                self._ask(action, aims, option)

        names = list(dict.fromkeys(action.name(aim.value, aim.scene) for aim in aims[:3]))
        names += [t("{count} more", count=len(aims) - 3)] if len(aims) > 3 else []
        title = t("{action}: {what}", action=t(action.title), what=t(" and ").join(names))
        self.app.push_screen(Choose(title, found.options), chose)

    def _ask(
        self, action: Action[Any], aims: tuple[Aim[Any], ...], option: Option | None = None, lines: Sequence[str] = ()
    ) -> None:
        """Put the question; what is sent is made now, so that it says what the operator sees."""
        made = [(aim.plane, action.order(aim.value, aim.scene, option), uuid.uuid4().hex) for aim in aims]
        orders = tuple((plane, order, key) for plane, order, key in made if order is not None)
        asked = question(action, aims, self.stand(), option, lines)
        many = so_many(action, len(orders)) if len(orders) > 1 else ""

        def answered(yes: bool | None) -> None:
            if yes:
                self._send(action, OrdersWanted(orders, many))

        if action.danger is Danger.NONE:
            self._send(action, OrdersWanted(orders, many))
        else:
            self.confirm(asked, answered)

    def confirm(self, asked: Question, answered: Callable[[bool | None], None]) -> None:
        """Put a question."""
        self.app.push_screen(Confirm(asked), answered)

    def _send(self, action: Action[Any], wish: OrdersWanted) -> None:
        """What was fresh when the question was put may not be so any more."""
        stand = self.stand()
        for plane, _, _ in wish.orders:
            if why := stand.why_not(plane):
                self._refuse(action, t("nothing was sent: {why}", why=why))
                return
        self.post_message(wish)

    def action_command(self) -> None:
        """Open the command line."""
        found = index(self.seen, VIEWS, self._clock.monotonic())
        self.app.push_screen(Palette(partial(search, found)), self._chosen)

    def _chosen(self, entry: Entry | None) -> None:
        if entry is None:
            return
        if entry.view is not None:
            self.go_to(entry.view, entry.key)
        if entry.action is None:
            return
        action = action_of(entry.action)
        if entry.key is None:
            self.do(action, self.aims(action) if shown_in(action, self.acts_in) else ())
        elif aims := self._aims((entry.key,)):
            self.do(action, aims)
        else:
            self._refuse(action, t("{name} is gone", name=entry.label))

    def _open_form(self, action: Action[Any], aims: tuple[Aim[Any], ...]) -> None:
        """The form of an action, about what is meant, else about the selected object."""
        self.app.push_screen(form_of(action, aims or self._form_aims(), self.seen))

    def _form_aims(self) -> tuple[Aim[Any], ...]:
        """What a form begins with that is meant for nothing: the selected object."""
        return self._aims((self.acts_on.cursor.target,)) if self.acts_on.cursor.target is not None else ()

    # Copying

    def action_copy(self) -> None:
        """Copy the ids of what is selected or marked, one a line."""
        keys = self.acts_on.targets
        if keys:
            what = keys[0] if len(keys) == 1 else tn("{count} id", "{count} ids", len(keys))
            self.post_message(CopyWanted("\n".join(keys), what))

    def action_copy_row(self) -> None:
        """Copy the selected row, its cells set apart by tabs."""
        table, key = self.acts_on.table, self.acts_on.cursor.target
        row = table.row_of(key) if key is not None else None
        if row is not None:
            cells = table.row(row).cells
            self.post_message(CopyWanted("\t".join(cell.text for cell in cells), t("the row")))

    def _refuse(self, action: Action[Any], why: str) -> None:
        """Say why an action is not done."""
        self._say(t("{action}: {why}.", action=t(action.title), why=why), problem=True)

    def _say(self, sentence: str, *, problem: bool = False) -> None:
        self.query_one(Status).say(sentence, problem=problem)
