"""Statements about results to deliver."""

from collections.abc import Collection, Sequence

from daemons.deploy.domain.webhooks import Delivery, NewDelivery
from daemons.deploy.ports.webhooks import DeliveryFilter
from daemons.kit.sql import Row, Session
from protocol.webhooks import DeliveryState


class WebhookStatements:
    """The port `WebhookRows`; who opens a transaction sets `delivers`."""

    delivers = False

    def __init__(self, session: Session) -> None:
        self._session = session

    async def insert_delivery(self, delivery: NewDelivery) -> None:
        """A new PENDING delivery."""
        await self._session.change(
            "insert_delivery",
            delivery_key=delivery.key,
            event=delivery.event,
            app_id=delivery.app_id,
            job_id=delivery.job_id,
            body=delivery.body,
            now=delivery.at,
        )

    async def due_deliveries(self, limit: int, now: int) -> Sequence[tuple[Delivery, bool]]:
        """PENDING ones that may be sent now, and whether each is its app's first."""
        rows = await self._session.rows("due_deliveries", limit=limit, now=now)
        return [(_delivery(row), row["first_id"] == row["id"]) for row in rows]

    async def hold_deliveries(self, numbers: Collection[int]) -> None:
        """These wait behind an earlier one of their app."""
        if numbers:
            await self._session.change("hold_deliveries", ids=sorted(numbers))

    async def release_delivery(self, app_id: str, now: int) -> None:
        """The app's first delivery that waits behind another is due now."""
        await self._session.change("release_delivery", app_id=app_id, now=now)

    async def save_delivery(self, delivery: Delivery, was: Delivery) -> bool:
        """Write it if its row still has `was.version`; False when it moved on."""
        changed = await self._session.change(
            "save_delivery",
            id=delivery.id,
            state=delivery.state.value,
            attempts=delivery.attempts,
            last_status=delivery.status,
            last_error=delivery.message,
            not_before=delivery.not_before,
            since=delivery.since,
            finished_at=delivery.finished_at,
            update_time=delivery.updated_at,
            was_version=was.version,
            version=was.version + 1,
        )
        return changed == 1

    async def delivery(self, number: int, *, lock: bool = False) -> Delivery | None:
        """One delivery."""
        row = await self._session.row("delivery_locked" if lock else "delivery", id=number)
        return None if row is None else _delivery(row)

    async def deliveries(self, wanted: DeliveryFilter, before: int, limit: int) -> Sequence[Delivery]:
        """Those with an id below `before` that pass the filter, newest first."""
        state = wanted.state.value if wanted.state else ""
        if wanted.app_id is not None:
            rows = await self._session.rows(
                "deliveries_of_app", app_id=wanted.app_id, state=state, before=before, limit=limit
            )
        elif state:
            rows = await self._session.rows("deliveries_of_state", state=state, before=before, limit=limit)
        else:
            rows = await self._session.rows("deliveries_before", before=before, limit=limit)
        return [_delivery(row) for row in rows]

    async def forget_deliveries(self, limit: int, before: int) -> int:
        """Delete up to `limit` that ended before, oldest first; how many."""
        return await self._session.change("forget_deliveries", limit=limit, before=before)


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        key=row["delivery_key"],
        event=row["event"],
        app_id=row["app_id"],
        job_id=row["job_id"],
        body=row["body"],
        state=DeliveryState(row["state"]),
        not_before=row["not_before"],
        since=row["since"],
        created_at=row["create_time"],
        updated_at=row["update_time"],
        attempts=row["attempts"],
        status=row["last_status"],
        message=row["last_error"],
        finished_at=row["finished_at"],
        version=row["version"],
    )
