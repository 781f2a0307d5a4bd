"""Pages: a table, and on most a panel above it. One is shown; those that back and forward lead to keep their cursor,
filter, order and scroll, because they are kept whole.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from textual.containers import Vertical
from textual.widgets import ContentSwitcher

from console.live.cells import Cell, Tone
from console.live.model import Model, Scene, World
from console.live.pages import into, page_of, reading, subject_of
from console.live.table import Arrangement, Table, key_of
from console.live.trail import Place, Trail, Visit
from console.live.views.panels import Lines
from console.live.words import t
from console.messages import PageReady
from console.widgets.live_table import LiveTable
from console.widgets.text_lines import Panel
from protocol.base import Wire

#: Objects whose words are worked out at a time, ahead of a filter, and how long the loop is then left to others.
_WARMED: Final = 500
_WARM_SECONDS: Final = 0.05
#: Which columns a view shows; none: all.
Columns = Callable[[str], tuple[str, ...]]


def _every(_: str) -> tuple[str, ...]:
    return ()


class Page(Vertical):
    """One page; `ready` once its parts can be drawn."""

    def __init__(self, place: Place, number: int, columns: Columns = _every) -> None:
        self.place = place
        self.spec = page_of(place.view)
        view = self.spec.table(place.subject)
        table = Table(view, columns(view.name))
        if self.spec.scope is not None:
            table.arrange(Arrangement(view.order, scope=self.spec.scope(place.subject)))
        self.table = LiveTable(table, id=f"table-{number}" if place.subject else place.view)
        self.panel = Panel(classes="panel")
        super().__init__(self.panel, self.table, id=f"page-{number}", classes="page")
        self.ready = False
        self._warming = False

    def on_mount(self) -> None:
        """Its parts are there."""
        self.ready = True
        self.post_message(PageReady())

    def planes(self, world: World) -> World:
        """What of the world the page is about."""
        if not self.place.subject:
            return world
        live = world.planes.get(self.place.plane)
        return World(MappingProxyType({self.place.plane: live} if live is not None else {}))

    def about(self, world: World) -> tuple[str, Wire, Scene] | None:
        """The object that the page is about, with its key and what it is seen in."""
        live = world.planes.get(self.place.plane)
        if not self.place.subject or live is None or live.model is None:
            return None
        value = subject_of(self.place, live.model)
        scene = Scene(live.model, live.model.server_time(live.model.heard_at), self.place.plane)
        return (key_of(self.place.plane, self.place.subject), value, scene) if value is not None else None

    def topics(self, world: World) -> Mapping[str, tuple[str, ...]]:
        """What has to be fetched of each control plane."""
        return {
            name: self.spec.topics(self.place.subject, live.model) for name, live in self.planes(world).planes.items()
        }

    def draw(self, world: World, local: float, words: str) -> None:
        """Bring the page up to the world; `words` is what it is filtered by."""
        seen = self.planes(world)
        self.panel.show(self._lines(seen, local))
        table = self.table.table
        changed = table.follow(seen, local)
        hidden = table.total and words and t("Nothing matches '{words}'. Press Esc to clear the filter.", words=words)
        self.table.say_empty(hidden or self._nothing(seen))
        self.table.redraw(changed, int(local))
        if not self._warming:
            self._warm()

    def _warm(self) -> None:
        """Work out what a filter looks into before somebody types one: not at the first keystroke, and not at once."""
        self._warming = self.table.table.warm(_WARMED)
        if self._warming:
            self.set_timer(_WARM_SECONDS, self._warm)

    def _lines(self, seen: World, local: float) -> Lines:
        found: Lines = ()
        for name, live in seen.planes.items():
            if live.model is None:
                continue
            scene = Scene(live.model, live.model.server_time(local), name)
            lines = self.spec.panel(scene, self.place.subject) if self.spec.panel is not None else ()
            if name and lines and not self.place.subject:
                lines = ((Cell(name, Tone.STRONG),), *lines)
            age = self._age(live.model, local)
            found = (*found, *lines, *(((age,),) if age is not None else ()))
        return found

    def _age(self, model: Model, local: float) -> Cell | None:
        wanted = self.spec.topics(self.place.subject, model)
        known = (model.beside.fetched[topic] for topic in wanted if topic in model.beside.fetched)
        return reading(known, len(wanted), local)

    def _nothing(self, seen: World) -> str:
        """What is said in the place of rows: that they are being read, or that there are none."""
        return t(self.table.table.view.empty) if self.read(seen) else t("… reading")

    def read(self, world: World) -> bool:
        """Whether everything that the page needs was read once, or that was tried."""
        return all(self._tried(live.model) for live in self.planes(world).planes.values() if live.model is not None)

    def _tried(self, model: Model) -> bool:
        fetched = model.beside.fetched
        wanted = self.spec.topics(self.place.subject, model)
        return all(topic in fetched and fetched[topic].tried_at is not None for topic in wanted)


class Pages(ContentSwitcher):
    """All pages that are kept, and the way to and from them."""

    def __init__(self, first: str, names: tuple[str, ...], columns: Columns = _every, *, id: str | None = None) -> None:
        self._columns = columns
        every = (first, *(name for name in names if name != first))
        self._pages = {Place(name): Page(Place(name), number, columns) for number, name in enumerate(every)}
        self._made = len(names)
        self.trail = Trail((Visit(Place(first), (page_of(first).crumb("", None),)),))
        super().__init__(*self._pages.values(), id=id, initial=self._pages[Place(first)].id)

    @property
    def page(self) -> Page:
        """The shown page."""
        return self._pages[self.trail.here.place]

    def lead(self) -> Place | None:
        """Where the selected object leads to."""
        table, key = self.page.table.table, self.page.table.cursor.target
        return into(table.value(key), table.scene(key)) if key is not None else None

    def open(self, place: Place, world: World) -> None:
        """Show the page of an object, or a view of all."""
        if not place.subject:
            place = Place(place.view)
        live = world.planes.get(place.plane)
        name = page_of(place.view).crumb(place.subject, live.model if live is not None else None)
        self._walk(self.trail.into(place, name) if place.subject else self.trail.begun(place, name))

    def back(self) -> bool:
        """The page before; whether there is one."""
        return self._walk(self.trail.back())

    def forward(self) -> bool:
        """The page from which one came back; whether there is one."""
        return self._walk(self.trail.forward())

    def out(self) -> bool:
        """One crumb up; whether there is one."""
        return self._walk(self.trail.out())

    def _walk(self, trail: Trail) -> bool:
        moved = trail.here.place != self.trail.here.place
        self.trail = trail
        place = trail.here.place
        if place not in self._pages:
            self._pages[place] = page = Page(place, self._made, self._columns)
            self._made += 1
            self.mount(page)
        self.current = self._pages[place].id
        self._forget()
        return moved

    def _forget(self) -> None:
        """Pages that nothing leads to any more go; views of all objects stay."""
        kept = self.trail.places()
        for place in [each for each in self._pages if each.subject and each not in kept]:
            self._pages.pop(place).remove()
