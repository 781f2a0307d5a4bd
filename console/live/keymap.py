"""Keys that an operator chose in place of ours, looked at before they are used. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from console.live.words import later, t

#: Prefixes and keys of tmux, screen, readline and flow control: no action of ours is on one of them.
RESERVED: Final = frozenset(f"ctrl+{letter}" for letter in "absqzw")
_LONGEST: Final = 60


@dataclass(frozen=True, slots=True)
class Keymap:
    """What of a keymap can be used, and what is wrong with the rest."""

    keys: Mapping[str, str]
    problems: tuple[str, ...] = ()


def checked(wanted: Mapping[str, str], known: Mapping[str, str]) -> Keymap:
    """The keymap without what cannot be: ids that nothing has, and keys that something else has already. `known` are
    the keys (with commas between them) of every id."""
    usable: dict[str, str] = {}
    problems = []
    for name, keys in wanted.items():
        if name not in known:
            problems.append(t("{name} is no action; see ? for their names", name=name[:_LONGEST]))
            continue
        others = {**known, **usable}
        taken = {key: other for other, theirs in others.items() if other != name for key in _each(theirs)}
        clashes = [key for key in _each(keys) if key in taken and taken[key] not in wanted]
        if clashes:
            words = later("{name}: {key} is the key of {other}; give that one another key, too")
            problems.append(t(words, name=name, key=clashes[0], other=taken[clashes[0]]))
        else:
            usable[name] = ",".join(_each(keys))
    return Keymap(usable, tuple(problems))


def _each(keys: str) -> Iterable[str]:
    return [key.strip() for key in keys.split(",") if key.strip()]
