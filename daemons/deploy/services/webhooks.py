"""Delivers the results of jobs to the webhook, each until it was taken or a day has passed.

A result is written down in the transaction that ends its job (`journal.write_job`). One replica, the holder of the
singleton, takes what is due, at most one delivery per app and so many apps at once, sends it outside any transaction
and notes what came of it. A crash in between sends it once more: receivers know deliveries by their key.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from daemons.deploy.domain import webhooks
from daemons.deploy.domain.events import CONTROL_PLANE, Actor, NewEvent
from daemons.deploy.domain.webhooks import Answer, Delivery, DeliveryNotFound, delivery_view
from daemons.deploy.ports import DeliveryFilter, Receiver, Store, StoreUnavailable, Transaction
from daemons.deploy.services.bells import Bells
from protocol.webhooks import DeliveryState

#: The least time between two looks for results, so that a busy queue does not have them looked for all the time.
LOOK_SECONDS: Final = 0.05
_POLL_SECONDS: Final = 1.0
_AT_ONCE: Final = 16
_LOOKED_AT: Final = 64
_KEPT_MS: Final = 7 * 24 * 3600 * 1000
_PAGE: Final = 500
_random = secrets.SystemRandom()

logger = logging.getLogger(__name__)


class DeliveryMoved(StoreUnavailable):
    """Somebody else wrote the row first although it was locked; nothing was changed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"delivery {number} was changed at the same moment; try again")


@dataclass(frozen=True, slots=True)
class DeliveryList:
    """A page of deliveries; `more` when others follow."""

    items: Sequence[Delivery]
    more: bool


class Webhooks:
    """`step` and `tidy` are for the one replica that holds the singleton; the rest is for operators. Without a
    receiver nothing is sent."""

    def __init__(self, store: Store, bells: Bells, receiver: Receiver | None) -> None:
        self._store = store
        self._bells = bells
        self._receiver = receiver

    @property
    def configured(self) -> bool:
        """Whether there is a receiver."""
        return self._receiver is not None

    async def step(self) -> None:
        """Wait for news, at most a second, and send what is due."""
        await self._bells.results.wait(_POLL_SECONDS)
        try:
            while await self.send_some():
                continue
        except StoreUnavailable:
            await asyncio.sleep(_POLL_SECONDS)
            raise

    async def send_some(self) -> bool:
        """Send up to sixteen deliveries at once, each of another app; whether there may be more to do now."""
        if self._receiver is None:
            return False
        due, looked = await self._store.transact(self._take)
        if not due:
            return looked
        receiver = self._receiver
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(receiver.deliver(each.key, each.body.encode())) for each in due]
        answers = [task.result() for task in tasks]
        ended = await self._store.transact(lambda tx: self._note(tx, due, answers))
        for delivery in ended:
            _say(delivery)
        if any(delivery.state is DeliveryState.FAILED for delivery in ended):
            self._bells.feed.ring()
        return True

    async def _take(self, tx: Transaction) -> tuple[list[Delivery], bool]:
        """What to send now; and whether anything was due at all. What is due too early, because an earlier delivery of
        its app has not ended, waits for that one and is not looked at again before."""
        found = await tx.due_deliveries(_LOOKED_AT, await tx.now())
        await tx.hold_deliveries([delivery.id for delivery, first in found if not first])
        return [delivery for delivery, first in found if first][:_AT_ONCE], bool(found)

    async def _note(self, tx: Transaction, sent: Sequence[Delivery], answers: Sequence[Answer]) -> list[Delivery]:
        """What became of those that were sent; one that an operator touched meanwhile is sent again."""
        now, noted = await tx.now(), list[Delivery]()
        for delivery, answer in zip(sent, answers, strict=True):
            after = webhooks.settle(delivery, answer, _random.random(), now)
            if not await tx.save_delivery(after, delivery):
                continue
            noted.append(after)
            if after.state is not DeliveryState.PENDING:
                await tx.release_delivery(after.app_id, now)
            if after.state is DeliveryState.FAILED:
                await _tell(tx, after, "given_up", CONTROL_PLANE, delivery)
        return noted

    async def page(self, wanted: DeliveryFilter, before: int, limit: int) -> DeliveryList:
        """Newest first, those with an id below `before`."""

        async def work(tx: Transaction) -> DeliveryList:
            found = await tx.deliveries(wanted, before, limit + 1)
            return DeliveryList(found[:limit], len(found) > limit)

        return await self._store.transact(work)

    async def retry(self, number: int, actor: Actor) -> Delivery:
        """Have it sent now, also after it was given up. Raises DeliveryNotFound and DeliveryMade."""

        async def work(tx: Transaction) -> Delivery:
            before = await tx.delivery(number, lock=True)
            if before is None:
                raise DeliveryNotFound(number)
            after = webhooks.again(before, await tx.now())
            if not await tx.save_delivery(after, before):
                raise DeliveryMoved(number)
            await _tell(tx, after, "retried", actor, before)
            return after

        after = await self._store.transact(work)
        self._bells.changed()
        return after

    async def tidy(self) -> None:
        """Forget what ended a week ago."""

        async def work(tx: Transaction) -> int:
            return await tx.forget_deliveries(_PAGE, await tx.now() - _KEPT_MS)

        while await self._store.transact(work) == _PAGE:
            continue


async def _tell(tx: Transaction, delivery: Delivery, change: str, actor: Actor, was: Delivery) -> None:
    body, before = delivery_view(delivery).to_json().decode(), delivery_view(was).to_json().decode()
    await tx.append(NewEvent("webhook", change, str(delivery.id), actor, body, before=before))


def _say(delivery: Delivery) -> None:
    about = {"delivery": delivery.id, "app_id": delivery.app_id, "job_id": delivery.job_id, "error": delivery.message}
    if delivery.state is DeliveryState.FAILED:
        logger.error("a job's result was not taken for a day and is given up; see `funai webhooks`", extra=about)
    elif delivery.state is DeliveryState.PENDING and delivery.attempts == 1:
        logger.warning("a job's result was not taken and will be sent again", extra=about)
