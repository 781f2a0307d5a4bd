"""Hosts of apps' own: claimed by owners, proven by the DNS, told to gateways."""

import logging
import secrets
from collections.abc import Sequence

from daemons.api.domain.access import Subject
from daemons.api.domain.domains import MOST_DOMAINS, Claim, DomainTaken, NotProven, UnknownDomain
from daemons.api.ports.domains import DomainProofs, DomainStore
from daemons.api.services.ownership import Ownership

logger = logging.getLogger(__name__)


class Domains:
    """Every call of an owner is about an app of theirs."""

    def __init__(self, store: DomainStore, proofs: DomainProofs, ownership: Ownership) -> None:
        self._store = store
        self._proofs = proofs
        self._ownership = ownership

    async def of(self, subject: Subject, app_id: str) -> Sequence[Claim]:
        """The app's claims. Raises NotFound."""
        app = await self._ownership.app(subject, app_id)
        return await self._store.of_app(app.id)

    async def add(self, subject: Subject, app_id: str, host: str) -> Claim:
        """Claim a host; the same again changes nothing. Raises NotFound, DomainLimit."""
        app = await self._ownership.app(subject, app_id)
        return await self._store.add(app.user_id, app.id, host, secrets.token_hex(16), MOST_DOMAINS)

    async def remove(self, subject: Subject, app_id: str, host: str) -> Claim:
        """Take the claim back: the host leads to the app no longer. Raises NotFound, UnknownDomain."""
        claim = await self._claim(subject, app_id, host)
        await self._store.remove(claim.app_id, host)
        return claim

    async def verify(self, subject: Subject, app_id: str, host: str) -> Claim:
        """Look for the proof; the host is the app's once it was seen. Raises NotFound, UnknownDomain, NotProven,
        DomainTaken, ProofsUnreachable."""
        claim = await self._claim(subject, app_id, host)
        if not await self._proven(claim):
            raise NotProven(
                f"there is no TXT record {claim.record} with the text {claim.value}; make it where the DNS of {host} "
                "is kept and ask again: it may take as long as the former answer was good for"
            )
        holder = await self._store.holder(host)
        if holder is not None and holder.app_id == claim.app_id:
            return holder
        if holder is not None and await self._proven(holder):
            raise _taken(host)
        verified = await self._store.verify(claim, holder)
        if verified is None:
            raise _taken(host)
        said = {"host": host, "app_id": claim.app_id, "instead_of": holder.app_id if holder else None}
        logger.info("a host was proven to be an app's", extra=said)
        return verified

    async def verified(self) -> Sequence[Claim]:
        """What gateways lead to apps."""
        return await self._store.verified()

    async def _claim(self, subject: Subject, app_id: str, host: str) -> Claim:
        app = await self._ownership.app(subject, app_id)
        claim = await self._store.claim(app.id, host)
        if claim is None:
            raise UnknownDomain(f"app {app.id} does not claim {host}; add it first")
        return claim

    async def _proven(self, claim: Claim) -> bool:
        return claim.value in await self._proofs.texts(claim.record)


def _taken(host: str) -> DomainTaken:
    return DomainTaken(
        f"host: {host} is another app's, and its proof is still in the DNS; take that TXT record away and ask again"
    )
