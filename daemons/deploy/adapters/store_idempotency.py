"""Statements about requests that may be repeated."""

from daemons.deploy.domain.idempotency import Key, Remembered
from daemons.kit.sql import Duplicate, Session


class IdempotencyStatements:
    """The port `IdempotencyRows`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def remembered(self, key: Key) -> Remembered | None:
        """What the key was used for."""
        row = await self._session.row("remembered_request", **_columns(key))
        return None if row is None else Remembered(key, row["request_hash"], row["job_id"], row["expire_at"])

    async def remember(self, used: Remembered) -> None:
        """Write what the key was used for, in place of what it was used for before."""
        try:
            await self._insert(used)
        except Duplicate:
            await self._session.change("forget_request", **_columns(used.key))
            await self._insert(used)

    async def forget_keys_of(self, app_id: str) -> int:
        """Forget all keys of an app."""
        return await self._session.change("forget_requests_of", app_id=app_id)

    async def forget_keys(self, limit: int, now: int) -> int:
        """Forget up to `limit` keys whose time is over, oldest first."""
        return await self._session.change("delete_expired_requests", limit=limit, now=now)

    async def _insert(self, used: Remembered) -> None:
        columns = {**_columns(used.key), "request_hash": used.request, "job_id": used.job_id}
        await self._session.change("remember_request", expire_at=used.expire_at, **columns)


def _columns(key: Key) -> dict[str, str]:
    return {"app_id": key.app_id, "user_id": key.user_id, "caller": key.caller, "idempotency_key": key.text}
