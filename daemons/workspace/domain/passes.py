"""Who may see a private preview: what is remembered of an app, and the passes that visitors carry.

A pass is text that the node signs: it names user, app and generation, when its bearer was let in and until when it is
good. It is renewed while it is used, but never for longer than a working day, and none outlives its generation.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from protocol.workspace_previews import Visibility

#: A pass is good for so long, is renewed in the second half of that, and ends for good so long after the link.
GOOD_SECONDS: Final = 3600
_MOST_SECONDS: Final = 12 * 3600
_PASS: Final = re.compile(
    r"([0-9]{1,19})\.([a-z0-9-]{1,40})\.([0-9]{1,15})\.([0-9]{1,12})\.([0-9]{1,12})\.([\w-]{43})", re.A
)
_PURPOSE: Final = b"funai preview pass 1\0"


class NotAdmitted(Exception):
    """The preview is private, and the visitor showed no pass that is good for it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may see one app."""

    visibility: Visibility = Visibility.PUBLIC
    generation: int = 1


@dataclass(frozen=True, slots=True)
class Rules:
    """Those of one user; an app without one has the usual."""

    user_id: str
    apps: Mapping[str, Rule] = field(default_factory=dict)

    def of(self, app_id: str) -> Rule:
        """The app's."""
        return self.apps.get(app_id, Rule())

    def having(self, app_id: str, rule: Rule) -> "Rules":
        """With another one for the app."""
        return replace(self, apps={**self.apps, app_id: rule})


@dataclass(frozen=True, slots=True)
class Pass:
    """Whom it lets in where; times in seconds."""

    user_id: str
    app_id: str
    generation: int
    since: int
    until: int


def first_pass(user_id: str, app_id: str, generation: int, now: int) -> Pass:
    """For who came by a link."""
    return Pass(user_id, app_id, generation, now, now + GOOD_SECONDS)


def sealed(key: bytes, found: Pass) -> str:
    """What the visitor carries."""
    text = f"{found.user_id}.{found.app_id}.{found.generation}.{found.since}.{found.until}"
    return f"{text}.{_seal(key, text)}"


def opened(key: bytes, text: str) -> Pass | None:
    """The pass, if this node made it."""
    found = _PASS.fullmatch(text)
    if found is None:
        return None
    user_id, app_id, generation, since, until, seal = found.groups()
    if not hmac.compare_digest(seal, _seal(key, text.rpartition(".")[0])):
        return None
    return Pass(user_id, app_id, int(generation), int(since), int(until))


def admits(found: Pass | None, user_id: str, app_id: str, rule: Rule, now: int) -> bool:
    """Whether it is good for the app now."""
    if found is None or (found.user_id, found.app_id, found.generation) != (user_id, app_id, rule.generation):
        return False
    return found.since - GOOD_SECONDS <= now < found.until


def renewed(found: Pass, now: int) -> Pass | None:
    """The one that takes its place, once it is time."""
    until = min(now + GOOD_SECONDS, found.since + _MOST_SECONDS)
    return replace(found, until=until) if found.until - now < GOOD_SECONDS // 2 and until > found.until else None


def _seal(key: bytes, text: str) -> str:
    digest = hmac.digest(key, _PURPOSE + text.encode("ascii"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
