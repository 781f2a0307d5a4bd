"""`python -m tests.runner_soak --jobs 1000`: synthetic jobs through runners that are killed again and again.

Three runners (two with the engine, one with buildah), a control plane, a git server and a registry as processes of
their own, an engine of its own unless FUNAI_TEST_DOCKER_HOST names one. A part of the jobs is cancelled, the registry
is killed and comes back. The seed is printed first, every quarter of a minute how far it is; it ends with 1 when a job
was lost, one went live twice or after its cancel, failed for no cause of these, or something was left behind.
"""

import argparse
import asyncio
import logging
import secrets
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from tests.support import real
from tests.support.synthetic import Scale, soak

_MOST_LINES = 100


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.runner_soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=None, help="of chance unless given")
    parser.add_argument("--at-once", type=int, default=14, help="jobs that are ordered and did not end")
    parser.add_argument("--kill-seconds", type=float, default=8.0, help="the mean time between two kills")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else secrets.randbelow(2**31)
    _say(f"seed {seed}")
    # Of the node in this process only what is serious.
    logging.basicConfig(level=logging.ERROR)
    scale = Scale(chosen.jobs, seed, at_once=chosen.at_once, kill_seconds=chosen.kill_seconds)
    with tempfile.TemporaryDirectory(prefix="funai-soak-") as place:
        folder = Path(place)
        with real.docker_engine(folder / "engine") as engine:
            tell = partial(_since, time.monotonic())
            verdict = asyncio.run(soak(scale, folder / "run", engine, tell))
    for line in (*verdict.told, *verdict.problems[:_MOST_LINES]):
        _say(line)
    problems = len(verdict.problems)
    _say(f"{problems} problems" if problems else "nothing was found")
    return 1 if problems else 0


def _since(began: float, text: str) -> None:
    _say(f"{time.monotonic() - began:.0f} s: {text}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
