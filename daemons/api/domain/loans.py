"""Keys that are lent to workspaces for one repository each, and when what was lent is taken back.

A loan is written down before anybody hears of its key, so that whoever dies afterwards leaves a row that says where to
look for it. The key's title says the same for who has lost the row.
"""

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from daemons.api.domain.pauses import pause_ms

#: How many keys of one app may be out at a time; a workspace needs one.
MOST_LOANS: Final = 8
_MOST_WORDS: Final = 2_000
_TITLE: Final = "fun-ai-studio: lent to a workspace until {until}, {fingerprint}"
_READ: Final = re.compile(r"fun-ai-studio: lent to a workspace until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ), SHA256:\S{43}")
_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"


class TooManyLoans(Exception):
    """So many keys of the app are out that nobody can need another."""


class LoanExists(Exception):
    """The key was lent before; a workspace makes a new one for each loan."""


class LoanEnded(Exception):
    """The loan ended while it began: its app was deleted, its key taken back, or its time is over."""


@dataclass(frozen=True, slots=True)
class Loan:
    """A key that writes to an app's repository until `expires_at`; times are epoch milliseconds.

    Until `settled_at` nobody knows whether the order to let the key in still arrives: what is not there then may come.
    It is taken back at `next_at`, which is a hold while somebody does.
    """

    fingerprint: str
    user_id: int
    app_id: int
    node: str
    repository: str
    expires_at: int
    settled_at: int
    next_at: int
    attempts: int = 0
    problem: str | None = None


def attempted(loan: Loan, problem: str | None, began: int, now: int) -> Loan | None:
    """After an attempt to take it back that began then, and was in vain if there is a `problem`. None: nothing is left
    of it."""
    if problem is not None:
        attempts = loan.attempts + 1
        return replace(loan, attempts=attempts, problem=problem[:_MOST_WORDS], next_at=now + pause_ms(attempts))
    return None if loan.settled_at <= began else replace(loan, problem=None, next_at=max(now, loan.settled_at))


def title(fingerprint: str, expires_at: int) -> str:
    """What a key is called where it is let in: until when, rounded up to a second, and which it is."""
    until = datetime.fromtimestamp(-(-expires_at // 1000), UTC).strftime(_MOMENT)
    return _TITLE.format(until=until, fingerprint=fingerprint)


def expiry(called: str) -> int | None:
    """Until when (epoch milliseconds) the key of this title was lent; None: it is none of ours."""
    found = _READ.fullmatch(called)
    if found is None:
        return None
    try:
        return int(datetime.strptime(found[1], _MOMENT).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return None
