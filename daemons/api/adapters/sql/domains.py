"""Hosts of apps' own in a table; the unique index on `verified_host` lets one app have each."""

from collections.abc import Sequence

from daemons.api.domain.access import NotFound
from daemons.api.domain.domains import Claim, DomainLimit, UnknownDomain
from daemons.kit.sql import Database, Duplicate, Row, Session


class SqlDomains:
    """The port `DomainStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: int, app_id: int, host: str, proof: str, limit: int) -> Claim:
        """Raises DomainLimit, NotFound."""

        async def work(session: Session) -> Claim:
            # Whoever deletes the app, or claims another host for it, holds the same lock.
            await session.row("lock_user", id=user_id)
            if await session.row("app", id=app_id) is None:
                raise NotFound(f"there is no app {app_id}")
            there = await session.row("domain", host=host, app_id=app_id)
            if there is not None:
                return _claim(there)
            if len(await session.rows("domains_of_app", app_id=app_id)) >= limit:
                raise DomainLimit(f"an app has at most {limit} hosts; remove one first")
            now = await session.now()
            await session.change("add_domain", host=host, app_id=app_id, proof=proof, now=now)
            return Claim(host, app_id, proof, now)

        return await self._database.transact(work)

    async def claim(self, app_id: int, host: str) -> Claim | None:
        """One claim."""

        async def work(session: Session) -> Claim | None:
            row = await session.row("domain", host=host, app_id=app_id)
            return _claim(row) if row else None

        return await self._database.transact(work)

    async def of_app(self, app_id: int) -> Sequence[Claim]:
        """By host."""

        async def work(session: Session) -> Sequence[Claim]:
            return [_claim(row) for row in await session.rows("domains_of_app", app_id=app_id)]

        return await self._database.transact(work)

    async def holder(self, host: str) -> Claim | None:
        """The claim that was proven."""

        async def work(session: Session) -> Claim | None:
            row = await session.row("domain_holder", host=host)
            return _claim(row) if row else None

        return await self._database.transact(work)

    async def verified(self) -> Sequence[Claim]:
        """By host."""

        async def work(session: Session) -> Sequence[Claim]:
            return [_claim(row) for row in await session.rows("verified_domains")]

        return await self._database.transact(work)

    async def verify(self, claim: Claim, instead_of: Claim | None) -> Claim | None:
        """Raises UnknownDomain."""

        async def work(session: Session) -> Claim | None:
            if instead_of is not None:
                await session.change("release_domain", host=instead_of.host, app_id=instead_of.app_id)
            try:
                await session.change("verify_domain", host=claim.host, app_id=claim.app_id, now=await session.now())
            except Duplicate:
                return None
            row = await session.row("domain", host=claim.host, app_id=claim.app_id)
            if row is None:
                raise UnknownDomain(f"app {claim.app_id} does not claim {claim.host} any more")
            return _claim(row)

        return await self._database.transact(work)

    async def remove(self, app_id: int, host: str) -> bool:
        """False when there is none."""

        async def work(session: Session) -> bool:
            return await session.change("remove_domain", host=host, app_id=app_id) == 1

        return await self._database.transact(work)


def _claim(row: Row) -> Claim:
    return Claim(
        host=str(row["host"]),
        app_id=int(row["app_id"]),
        proof=str(row["proof"]),
        created_at=int(row["create_time"]),
        verified_at=int(row["verified_at"]) if row["verified_at"] is not None else None,
    )
