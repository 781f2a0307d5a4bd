"""Plays schedules by the thousand: in chunks with seeds of their own, in several processes.

python -m tests.model --schedules 100000
"""

import gc
import logging
import multiprocessing
import os
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

from tests.model.http_plane import HttpParts
from tests.model.machine import Schedule
from tests.model.mariadb import MariadbParts
from tests.model.replicas import SqliteParts

STEPS: Final = 20
CHUNK: Final = 250
_SHARES: Final = {"sqlite": 0.96, "http": 0.025, "mariadb": 0.015}
_PHASES: Final = (Phase.generate, Phase.shrink)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some schedules of one seed; the same chunk plays the same schedules. `over` is "sqlite", "http", or the URL of a
    MariaDB server."""

    seed: int
    schedules: int
    over: str = "sqlite"


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


def share(schedules: int, over: str) -> int:
    """How many of all schedules are played over what: over HTTP and over MariaDB they take ten times as long, and most
    of what can go wrong goes wrong in the services, whatever they stand on."""
    return max(1, round(schedules * _SHARES[over]))


def chunks(schedules: int, seed: int, over: str) -> Sequence[Chunk]:
    """At least so many schedules over one kind of parts, or over a server's URL."""
    size = CHUNK if over == "sqlite" else CHUNK // 5
    numbers = range(-(-schedules // size))
    return [Chunk(seed + number, min(size, schedules - number * size), over) for number in numbers]


def play(chunk: Chunk) -> Played:
    """One chunk in this process. A failure is shrunk to a shortest schedule and put into words."""
    Schedule.parts = parts = _parts(chunk.over)
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
        # Where Hypothesis finds that it is in continuous integration, every chunk would play the same schedules.
        derandomize=False,
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
        over = "mariadb" if "://" in chunk.over else chunk.over
        again = f"--over {over} --seed {chunk.seed} --schedules {chunk.schedules}"
        hint = f"seed {chunk.seed} over {over}; once more: python -m tests.model {again}"
        played.failures.append(f"{hint}\n{''.join(traceback.format_exception(error))}")
    finally:
        logging.disable(logging.NOTSET)
        gc.enable()
        parts.close()
    played.schedules, played.words, played.seconds = Schedule.played, Schedule.counted, time.monotonic() - begun
    return played


def _parts(over: str) -> SqliteParts | HttpParts | MariadbParts:
    if over == "sqlite":
        return SqliteParts()
    return HttpParts() if over == "http" else MariadbParts(over)


def play_all(chosen: Sequence[Chunk], processes: int) -> Played:
    """All chunks, in processes of their own; stops handing out chunks after the first failure. They
    compute, and give way to tests beside them that wait for answers."""
    total = Played()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=os.nice, initargs=(10,)) as pool:
        for played in pool.map(play, chosen):
            total.add(played)
            if played.failures:
                pool.shutdown(cancel_futures=True)
                break
    return total
