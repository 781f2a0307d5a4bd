"""`python -m tests.model --schedules 100000`: schedules with a seed of chance, which is printed first.

Most are played over SQLite, some over HTTP and some over a MariaDB server that is started for them.
"""

import argparse
import os
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.model.play import Chunk, chunks, play_all, share
from tests.support import real


def main() -> int:
    """0 when no schedule broke a rule."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None, help="of chance unless given")
    parser.add_argument("--over", choices=["sqlite", "http", "mariadb"], default=None, help="only over this")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else secrets.randbelow(2**31)
    sys.stdout.write(f"seed {seed}\n")
    sys.stdout.flush()
    with ExitStack() as stack:
        wanted: list[Chunk] = []
        for over in [chosen.over] if chosen.over else ["sqlite", "http", "mariadb"]:
            count = chosen.schedules if chosen.over else share(chosen.schedules, over)
            wanted += chunks(count, seed, _server(stack) if over == "mariadb" else over)
        played = play_all(wanted, chosen.processes)
    for failure in played.failures:
        sys.stdout.write(f"{failure}\n")
    sys.stdout.write(f"{played}\n")
    return 1 if played.failures else 0


def _server(stack: ExitStack) -> str:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="schedules")))
    return stack.enter_context(real.mariadb(folder / "mariadb"))


if __name__ == "__main__":
    sys.exit(main())
