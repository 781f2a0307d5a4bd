"""Lists of jobs, newest created first, read a page at a time from where the last page ended."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain.jobs import Job

_PLACE: Final = re.compile(r"([0-9]{1,18})\.([0-9a-f-]{1,64})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are listed; None means any."""

    status: str | None = None
    app_id: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Just after a job, by its creation (epoch ms) and id."""

    created_at: int
    job_id: str


#: Before every job: `g` follows the digits of an id.
START: Final = Place(2**62, "g")


def cursor_of(job: Job) -> str:
    """The place after the job, as text that says nothing to its reader."""
    return base64.urlsafe_b64encode(f"{job.created_at}.{job.id}".encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place | None:
    """The place that a cursor names; None when it is none of ours."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        return None
    found = _PLACE.fullmatch(text)
    return Place(int(found[1]), found[2]) if found else None
