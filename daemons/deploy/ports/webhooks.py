"""Rows of results to deliver, and their receiver."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from daemons.deploy.domain.webhooks import Answer, Delivery, NewDelivery
from protocol.webhooks import DeliveryState


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to list; None does not ask."""

    state: DeliveryState | None = None
    app_id: str | None = None


class WebhookRows(Protocol):
    """Table `fun_ai_deploy_webhook`. Only the holder of the singleton `webhooks` and operators change rows."""

    @property
    def delivers(self) -> bool:
        """Whether results are to be delivered at all; otherwise nobody writes them down."""
        ...

    async def insert_delivery(self, delivery: NewDelivery) -> None:
        """A new PENDING delivery, in the transaction that ends its job."""
        ...

    async def due_deliveries(self, limit: int, now: int) -> Sequence[tuple[Delivery, bool]]:
        """PENDING ones whose `not_before` is reached, the longest waiting first; and whether each is its app's first
        PENDING one."""
        ...

    async def hold_deliveries(self, numbers: Collection[int]) -> None:
        """These wait behind an earlier one of their app: `release_delivery` makes them due."""
        ...

    async def release_delivery(self, app_id: str, now: int) -> None:
        """The app's first delivery that waits behind another is due now."""
        ...

    async def save_delivery(self, delivery: Delivery, was: Delivery) -> bool:
        """Write it if its row still has `was.version`; False when it moved on."""
        ...

    async def delivery(self, number: int, *, lock: bool = False) -> Delivery | None:
        """One delivery, optionally locked until the transaction ends."""
        ...

    async def deliveries(self, wanted: DeliveryFilter, before: int, limit: int) -> Sequence[Delivery]:
        """Those with an id below `before` that pass the filter, newest first."""
        ...

    async def forget_deliveries(self, limit: int, before: int) -> int:
        """Delete up to `limit` that ended before, oldest first; how many."""
        ...


class Receiver(Protocol):
    """Who is told of results."""

    async def deliver(self, key: str, body: bytes) -> Answer:
        """One attempt, of limited time; what came of it. It raises nothing: no answer is an outcome, too."""
        ...
