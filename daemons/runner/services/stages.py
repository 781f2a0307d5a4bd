"""What an attempt did so far, as it is told with every renewal and with the report.

All stages are told each time, so that a lost answer loses none of them.
"""

from typing import TypedDict, Unpack

from daemons.runner.ports import Pacer
from protocol.jobs import JobPhase, StageOutcome, StageReport


class Facts(TypedDict, total=False):
    """What a stage made: its size in bytes, the commit, the image and its digest; and how often it tried again."""

    bytes: int | None
    commit: str | None
    image: str | None
    image_digest: str | None
    retries: int | None


class StageBook:
    """The stages of one attempt; its clock starts now."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self._began = pacer.now()
        self._stages: list[StageReport] = []

    @property
    def told(self) -> tuple[StageReport, ...]:
        """All of them, in their order."""
        return tuple(self._stages)

    def begin(self, phase: JobPhase) -> None:
        """A stage starts."""
        self._stages.append(StageReport(phase=phase, outcome=StageOutcome.RUNNING, started_ms=self._now()))

    def end(self, outcome: StageOutcome) -> None:
        """The last one ended now."""
        self._change({"outcome": outcome, "ended_ms": self._now()})

    def note(self, **facts: Unpack[Facts]) -> None:
        """What the last one made."""
        self._change(dict(facts))

    def reuse(self, phase: JobPhase, **facts: Unpack[Facts]) -> None:
        """A stage that an earlier attempt had done."""
        now = self._now()
        self._stages.append(
            StageReport(phase=phase, outcome=StageOutcome.REUSED, started_ms=now, ended_ms=now, **facts)
        )

    def _now(self) -> int:
        return max(0, round((self._pacer.now() - self._began) * 1000))

    def _change(self, update: dict[str, object]) -> None:
        self._stages[-1] = self._stages[-1].model_copy(update=update)
