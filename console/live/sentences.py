"""What changed in a view, in sentences: screen readers read lines and cannot follow a moving cursor. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from console.live.cells import Tone
from console.live.headline import link_cell, totals
from console.live.model import Live, Scene
from console.live.table import Table
from console.live.views.spec import ViewSpec
from console.live.words import t

_KEY_DIGITS: Final = 8
_NOTHING: Final = ("", "–")
#: The words of one object by column, without those that change as time goes by.
Said = Mapping[str, str]


def words_of(view: ViewSpec[Any], value: Any, scene: Scene) -> Said:
    """What is said of an object: its columns in plain words, those alone that say something."""
    found = {field.name: field.text(value, scene) for field in view.fields if not field.ticks}
    return {name: text for name, text in found.items() if text not in _NOTHING}


def name_of(view: ViewSpec[Any], key: str, value: Any, scene: Scene) -> str:
    """How an object is called: by the columns that stand out, and by its id where that is something else."""
    strong = [(field, field.cell(value, scene)) for field in view.fields]
    parts = [f"{_title(field.column.title)} {cell.text}" for field, cell in strong if cell.tone is Tone.STRONG]
    named = " ".join(parts)
    # The numbers of nodes mean nothing to people.
    return named if key in named or key.isdecimal() else f"{named}, {key[:_KEY_DIGITS]}".removeprefix(", ")


def appeared(view: ViewSpec[Any], name: str, said: Said) -> str:
    """An object that was not there before."""
    return t("{view}: {name} is new: {words}.", view=t(view.title), name=name, words=_listed(view, said))


def changed(view: ViewSpec[Any], name: str, before: Said, now: Said) -> str | None:
    """How an object differs from what was said of it last; None when it does not."""
    parts = []
    for field in view.fields:
        was, new = before.get(field.name, ""), now.get(field.name, "")
        if was != new:
            parts.append(f"{_title(field.column.title)} {new or t('nothing')}")
    if not parts:
        return None
    return t("{view}: {name} changed: {words}.", view=t(view.title), name=name, words=", ".join(parts))


def gone(view: ViewSpec[Any], name: str) -> str:
    """An object that is no more, or that the filter hides now."""
    return t("{view}: {name} is gone.", view=t(view.title), name=name)


def state(live: Live, local: float) -> str:
    """The connection and the totals, in one sentence; `local` in seconds of the console's clock."""
    texts = [link_cell(live.link, local).text, *(cell.text for cell in totals(live))]
    return ", ".join(text.lstrip("●○▶✗✓!↻… ") for text in texts) + "."


def everything(table: Table[Any], most: int) -> list[str]:
    """A view read aloud, a sentence for each object."""
    view = table.view
    lines = [t("{view}: {count}.", view=t(view.title), count=len(table))]
    if not len(table):
        return [*lines, t(view.empty)]
    for number in range(min(most, len(table))):
        key = table.key(number)
        value, scene = table.value(key), table.scene(key)
        if value is not None and scene is not None:
            lines.append(f"{number + 1}. {_listed(view, words_of(view, value, scene))}.")
    if len(table) > most:
        lines.append(t("{count} more; narrow them down with / and words.", count=len(table) - most))
    return lines


def _listed(view: ViewSpec[Any], said: Said) -> str:
    titles = {field.name: _title(field.column.title) for field in view.fields}
    return ", ".join(f"{titles[name]} {text}" for name, text in said.items())


def _title(title: str) -> str:
    return t(title).strip().casefold()
