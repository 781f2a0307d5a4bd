"""What the API needs for hosts of apps' own."""

from collections.abc import Collection, Sequence
from typing import Protocol

from daemons.api.domain.domains import Claim


class DomainStore(Protocol):
    """Table `fun_ai_app_domain`."""

    async def add(self, user_id: int, app_id: int, host: str, proof: str, limit: int) -> Claim:
        """Claim a host for an app, or answer the claim that is there. Raises DomainLimit, NotFound."""
        ...

    async def claim(self, app_id: int, host: str) -> Claim | None:
        """One claim."""
        ...

    async def of_app(self, app_id: int) -> Sequence[Claim]:
        """The app's claims, by host."""
        ...

    async def holder(self, host: str) -> Claim | None:
        """The claim that was proven."""
        ...

    async def verified(self) -> Sequence[Claim]:
        """All that were proven, by host."""
        ...

    async def verify(self, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """The claim was proven, and that of the other no longer is, both at once. None when the host is somebody
        else's by now. Raises UnknownDomain when the claim was taken back."""
        ...

    async def remove(self, app_id: int, host: str) -> bool:
        """Take a claim back; False when there is none."""
        ...


class DomainProofs(Protocol):
    """The DNS, as everybody sees it."""

    async def texts(self, name: str) -> Collection[str]:
        """The TXT records of a name; of one that is not there, none. Raises ProofsUnreachable."""
        ...


class ProofsUnreachable(Exception):
    """Nobody answered what the DNS says."""
