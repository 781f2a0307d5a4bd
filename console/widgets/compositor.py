"""What is painted when a few lines of a screen changed: the widgets that these lines lie in, and no others.

Textual renders every widget within the smallest rectangle around all that changed. A headline that counts seconds and
a row that grew older span the whole screen, and all that lies between them was rendered once a second for nothing.
Fitted to the Textual that `constraints.txt` names: the two methods are not its public interface.
"""

from collections.abc import Iterable

from textual._compositor import ChopsUpdate, Compositor
from textual.geometry import Region
from textual.strip import Strip


class SparingCompositor(Compositor):
    """Takes the place of the compositor of a screen, before it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self._changed: tuple[Region, ...] = ()

    def render_partial_update(self) -> ChopsUpdate | None:
        """What changed since it was painted last; None when nothing did."""
        self._changed = tuple(self._dirty_regions)
        try:
            return super().render_partial_update()
        finally:
            self._changed = ()

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if not self._changed:
            yield from super()._get_renders(crop)
            return
        for widget, (region, clip) in self.visible_widgets.items():
            seen = region.intersection(clip)
            if seen and any(seen.overlaps(each) for each in self._changed):
                yield region, clip, widget.render_lines(seen.translate(-region.offset))
