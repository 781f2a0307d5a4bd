"""`python -m tests.model --schedules 100000`: schedules with a seed of chance, which is printed first."""

import argparse
import os
import secrets
import sys

from tests.model.play import play_all


def main() -> int:
    """0 when no schedule broke a rule."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="of chance unless given")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else secrets.randbelow(2**31)
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    played = play_all(chosen.schedules, seed, chosen.processes)
    for failure in played.failures:
        sys.stdout.write(f"{failure}\n")
    sys.stdout.write(f"{played}\n")
    return 1 if played.failures else 0


if __name__ == "__main__":
    sys.exit(main())
