"""The last line: what can be pressed now. A click presses it; what cannot be done is grey.

It is one widget, where Textual's footer has one for each key and makes all of them anew whenever one turns grey, a
question is put or a page is shown: that took longer than all else there was to do then.
"""

from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.screen import Screen

from console.widgets.text_lines import Line

_GAP: Final = 1
#: Cells that a wheel moves the line by where it is longer than the terminal is wide.
_STEP: Final = 4


@dataclass(frozen=True, slots=True)
class _Key:
    """One key, as it is pressed and as it is shown."""

    key: str
    shown: str
    words: str
    enabled: bool
    tooltip: str

    @property
    def width(self) -> int:
        return cell_len(self.shown) + cell_len(f" {self.words}" if self.words else "")


class Keys(Line):
    """Reads the bindings of its screen whenever those changed."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: tuple[_Key, ...] = ()
        self._over: _Key | None = None
        self._left = 0

    def on_mount(self) -> None:
        """Hear of changes."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def on_unmount(self) -> None:
        """Hear of none any more."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _changed(self, screen: Screen[Any]) -> None:
        if self.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._read)

    def _read(self) -> None:
        found: dict[str, _Key] = {}
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show and binding.action not in found:
                shown = self.app.get_key_display(binding)
                found[binding.action] = _Key(binding.key, shown, binding.description, enabled, tooltip)
        self._keys = tuple(found.values())
        self._show()

    def _show(self) -> None:
        parts: list[tuple[str, str]] = []
        for each in self._keys:
            hover = " on $block-hover-background" if each == self._over else ""
            key, words = ("bold $footer-key-foreground", "$footer-description-foreground")
            if not each.enabled:
                key = words = "$quiet"
            parts += [(each.shown, key + hover), (f" {each.words}" if each.words else "", words + hover)]
            parts.append((" " * _GAP, ""))
        self.put(Content.assemble(*parts)[self._left :])

    def _at(self, x: int) -> _Key | None:
        """The key that is shown in this cell of the line."""
        left = -self._left
        for each in self._keys:
            if left <= x < left + each.width:
                return each
            left += each.width + _GAP
        return None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press it."""
        found = self._at(event.x)
        if found is None:
            return
        if found.enabled:
            self.app.simulate_key(found.key)
        else:
            self.app.bell()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say more of what the mouse is over."""
        self._hover(self._at(event.x))

    def on_leave(self) -> None:
        """The mouse is elsewhere."""
        self._hover(None)

    def _hover(self, found: _Key | None) -> None:
        if found != self._over:
            self._over = found
            self.tooltip = found.tooltip if found is not None else None
            self._show()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """To the right."""
        self._move(_STEP, event)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """To the left."""
        self._move(-_STEP, event)

    def _move(self, cells: int, event: events.MouseEvent) -> None:
        whole = sum(each.width + _GAP for each in self._keys)
        left = max(0, min(self._left + cells, whole - self.size.width))
        if left != self._left:
            self._left = left
            self._show()
            event.stop()
