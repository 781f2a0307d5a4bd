"""Plays schedules by the thousand: in chunks with seeds of their own, in several processes.

python -m tests.model --schedules 100000
"""

import gc
import logging
import multiprocessing
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import hypothesis.core
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Schedule

STEPS: Final = 20
CHUNK: Final = 250
_PHASES: Final = (Phase.generate, Phase.shrink)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some schedules of one seed; the same chunk plays the same schedules."""

    seed: int
    schedules: int


@dataclass(slots=True)
class Played:
    """What came of it. `words` counts the answers that callers got, so that a green run shows what it saw."""

    schedules: int = 0
    seconds: float = 0.0
    words: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: "Played") -> None:
        """Sum up."""
        self.schedules += other.schedules
        self.seconds += other.seconds
        self.words += other.words
        self.failures += other.failures

    def __str__(self) -> str:
        words = ", ".join(f"{word} {count}" for word, count in sorted(self.words.items()))
        return f"{self.schedules} schedules in {self.seconds:.0f} s of one process; answers: {words}"


def chunks(schedules: int, seed: int) -> Sequence[Chunk]:
    """At least so many schedules."""
    return [Chunk(seed + number, min(CHUNK, schedules - number * CHUNK)) for number in range(-(-schedules // CHUNK))]


def play(chunk: Chunk) -> Played:
    """One chunk in this process. A failure is shrunk to a shortest schedule and put into words."""
    Schedule.counted = Counter()
    Schedule.played = 0
    begun = time.monotonic()
    played = Played()
    hypothesis.core.global_force_seed = chunk.seed  # type: ignore[assignment]
    chosen = settings(
        max_examples=chunk.schedules,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=_PHASES,
        report_multiple_bugs=False,
    )
    gc.collect()
    gc.disable()
    logging.disable(logging.CRITICAL)
    try:
        run_state_machine_as_test(Schedule, settings=chosen)
    except BaseException as error:
        hint = f"seed {chunk.seed}: python -m tests.model --seed {chunk.seed} --schedules {chunk.schedules}"
        played.failures.append(f"{hint}\n{''.join(traceback.format_exception(error))}")
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()
    played.schedules, played.words, played.seconds = Schedule.played, Schedule.counted, time.monotonic() - begun
    return played


def play_all(schedules: int, seed: int, processes: int) -> Played:
    """All chunks, in processes of their own; stops handing out chunks after the first failure."""
    total = Played()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for played in pool.map(play, chunks(schedules, seed)):
            total.add(played)
            if played.failures:
                pool.shutdown(cancel_futures=True)
                break
    return total
