"""The languages of the console: every visible string passes `t` or `tn` once.

A sentence passes where it is made, with what it is filled with; what is written down before a language is chosen
(titles, keys, questions of actions, texts in `later`) where it is drawn. One-shot commands choose no language, so that
what programs read stays English.

The catalogues are gettext's (`console/locale/LANGUAGE/LC_MESSAGES/funai.po`; `.mo` beside it is what is loaded). What
comes over the wire (names, states, the control plane's own sentences) stays as it is.
"""

import gettext
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DOMAIN: Final = "funai"
FOLDER: Final = Path(__file__).resolve().parent.parent / "locale"
ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "zh_CN")
#: In gettext's order; the first that is set decides.
_VARIABLES: Final = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


class _Chosen:
    """The catalogue of this process: an operator's choice, made once, before anything is drawn."""

    catalogue: gettext.NullTranslations = gettext.NullTranslations()


def t(text: str, /, **values: object) -> str:
    """The text in the chosen language, with `{name}` filled in where values are given; English when nothing is known
    of it."""
    found = _Chosen.catalogue.gettext(text) if text else text
    return found.format(**values) if values else found


def tn(one: str, many: str, count: int, /, **values: object) -> str:
    """The same of so many things: `one` or `many`, or what the chosen language says of that number. `{count}` is filled
    in."""
    return _Chosen.catalogue.ngettext(one, many, count).format(count=count, **values)


def later(text: str) -> str:
    """The text as it is: it passes `t` where it is drawn, and has an entry in every catalogue."""
    return text


def choose(language: str) -> None:
    """Speak this language from now on. Raises LookupError when there is no such catalogue."""
    if language not in LANGUAGES:
        raise LookupError(f"there is no language {language!r}; choose one of {', '.join(LANGUAGES)}")
    if language == ENGLISH:
        _Chosen.catalogue = gettext.NullTranslations()
    else:
        _Chosen.catalogue = gettext.translation(DOMAIN, FOLDER, [language])


def language_of(environ: Mapping[str, str]) -> str:
    """The language that an environment asks for; English unless there is a catalogue."""
    asked = next((environ[name] for name in _VARIABLES if environ.get(name)), "")
    first = asked.split(":")[0].partition(".")[0].partition("@")[0].replace("-", "_")
    if first in LANGUAGES:
        return first
    near = [each for each in LANGUAGES if each.partition("_")[0] == first.partition("_")[0]]
    return near[0] if near and first else ENGLISH
