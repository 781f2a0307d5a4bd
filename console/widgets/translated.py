"""Screens whose footers speak the operator's language: bindings are written in English and translated when shown."""

from dataclasses import replace
from typing import Any

from textual.binding import ActiveBinding
from textual.screen import Screen

from console.live.words import t


class Translated(Screen[Any]):
    """Comes first among the bases of a screen."""

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """What can be pressed now, in the operator's language."""
        return {key: _shown(active) for key, active in super().active_bindings.items()}


def _shown(active: ActiveBinding) -> ActiveBinding:
    binding = active.binding
    translated = replace(binding, description=t(binding.description), tooltip=t(binding.tooltip))
    return active._replace(binding=translated, tooltip=t(active.tooltip))
