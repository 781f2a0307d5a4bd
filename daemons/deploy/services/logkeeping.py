"""Closes the logs of ended jobs, and removes logs that are too old or too many. Bounded portions, by one replica."""

import logging
from dataclasses import dataclass, replace
from typing import Final

from daemons.deploy.domain import logs
from daemons.deploy.domain.events import Actor
from daemons.deploy.domain.late_logs import part_of
from daemons.deploy.domain.logs import Removal
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.ports.history import EndedLog
from daemons.deploy.services.bells import Bells
from daemons.deploy.services.journal import node_of, tell_of_job

_SETTLE_AFTER_MS: Final = 60_000
_PAGE: Final = 20
_ACTOR: Final = Actor("log-retention")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How long and how many bytes of logs are kept; 0 means no limit. Logs of running jobs are never removed."""

    kept_ms: int = 0
    total_bytes: int = 0


class LogKeeper:
    """`step` runs every few minutes."""

    def __init__(self, store: Store, bells: Bells, limits: LogLimits) -> None:
        self._store = store
        self._bells = bells
        self._limits = limits

    async def step(self) -> None:
        """Settle what ended, then remove what is beyond the limits, a few logs at a time."""
        while await self._store.transact(self._settle) == _PAGE:
            continue
        while removed := await self._store.transact(self._remove):
            logger.info("logs were removed", extra={"jobs": removed})
            self._bells.changed(*removed)

    async def _settle(self, tx: Transaction) -> int:
        before = await tx.now() - _SETTLE_AFTER_MS
        ids = await tx.unsettled_logs(before, _PAGE)
        for job_id in ids:
            job = await tx.job(job_id, lock=True)
            if job is None:
                await tx.delete_logs([job_id])
                continue
            after, line = logs.settled(job)
            if line:
                await tx.append_log(job_id, job.log_length, line)
                await tx.save_log(after)
                part = part_of(replace(job, log_expected=None), await tx.now(), gap=True)
                if part is not None:
                    await tx.put_log_part(part)
            await tx.settle_log(job_id, job.finished_at or before)
        return len(ids)

    async def _remove(self, tx: Transaction) -> list[str]:
        now, candidates = await tx.now(), await tx.ended_logs(_PAGE)
        stored = await tx.stored_logs() if self._limits.total_bytes else 0
        removed = []
        for log in candidates:
            why = self._why(log, stored, now)
            if why is None:
                break
            await self._remove_one(tx, log.job_id, why, now)
            stored -= log.stored_bytes
            removed.append(log.job_id)
        return removed

    def _why(self, log: EndedLog, stored: int, now: int) -> Removal | None:
        if self._limits.kept_ms and log.ended_at < now - self._limits.kept_ms:
            return Removal.AGE
        return Removal.SIZE if self._limits.total_bytes and stored > self._limits.total_bytes else None

    async def _remove_one(self, tx: Transaction, job_id: str, why: Removal, now: int) -> None:
        job = await tx.job(job_id, lock=True)
        await tx.delete_logs([job_id])
        if job is not None:
            after = logs.removed(job, why, now)
            await tx.save_log(after)
            await tell_of_job(tx, after, await node_of(tx, job.app_id), "log_removed", _ACTOR, job)
