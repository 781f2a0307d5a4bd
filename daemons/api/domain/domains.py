"""Hosts of apps' own, and what proves whose they are.

Anybody may claim a host, and a claim takes it from nobody. A host is the app's whose proof is in the host's own DNS:
only who has the host can put it there. While two proofs are there, the one that was seen first stays.
"""

from dataclasses import dataclass
from typing import Final

MOST_DOMAINS: Final = 5
_RECORD: Final = "_funai-verify"
_VALUE: Final = "funai-verify="


class UnknownDomain(Exception):
    """The app does not claim this host."""


class DomainTaken(Exception):
    """The host is another app's, whose proof is still in its DNS."""

    data: Final = {"fields": ["host"]}


class DomainLimit(Exception):
    """The app claims as many hosts as it may."""


class NotProven(Exception):
    """The proof is not in the host's DNS."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A host that an app claims; it is the app's since `verified_at`. Times are epoch milliseconds."""

    host: str
    app_id: int
    proof: str
    created_at: int
    verified_at: int | None = None

    @property
    def record(self) -> str:
        """The name of the TXT record that proves it."""
        return f"{_RECORD}.{self.host}"

    @property
    def value(self) -> str:
        """The text of that record."""
        return f"{_VALUE}{self.proof}"
