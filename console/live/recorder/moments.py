"""The time that an operator names to see a recording. Pure."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from console.live.words import later, t

_AGO: Final = re.compile(r"-?(\d{1,6})(s|m|h|d)(?: ago)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


class NoMoment(Exception):
    """It is no time; the message says what is one."""


def moment(text: str, newest: datetime) -> datetime:
    """What was named, in UTC: `14:30`, `14:30:05` (the last such time before `newest`), `2026-05-01T14:30` (with or
    without an offset), or `90m` before `newest`. Raises NoMoment."""
    typed = text.strip()
    ago = _AGO.fullmatch(typed)
    if ago:
        return newest - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    clock = _CLOCK.fullmatch(typed)
    try:
        if clock:
            found = newest.astimezone(UTC).replace(
                hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0
            )
            return found if found <= newest else found - timedelta(days=1)
        found = datetime.fromisoformat(typed)
    except ValueError:
        words = later("{typed} is no time; give 14:30, 2026-05-01T14:30 (UTC) or 90m for so long before the end")
        raise NoMoment(t(words, typed=repr(typed[:40]))) from None
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
