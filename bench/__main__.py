"""Every benchmark of the control plane, one after the other; one table and one line of JSON at the end.

    python -m bench                     # all; about ten minutes
    python -m bench lifecycle fleet     # these

Each runs in a process of its own, with servers of its own, and measures in the same run what it is compared with. The
exit code is 0 if every limit of every benchmark held.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence

from bench.figures import Figure, show

BENCHES = (
    "placement",
    "lifecycle",
    "pickup",
    "depth",
    "fleet",
    "fanout",
    "logs",
    "files",
    "builds",
    "runner",
    "peers",
    "console",
    "logview",
    "forwarding",
    "entry",
    "websockets",
    "workspaces",
)


def main(names: Sequence[str]) -> int:
    """Run these and print."""
    figures: list[Figure] = []
    broken: list[str] = []
    for name in names:
        print(f"--- bench.{name}", flush=True)
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        found = figures_of(name, done.stdout)
        figures += found or []
        if found is None:
            broken.append(name)
    code = show(", ".join(names), figures)
    for name in broken:
        print(f"bench.{name} ended without figures")
    return 1 if broken else code


def figures_of(name: str, output: str) -> list[Figure] | None:
    """What the benchmark printed last as JSON; None when it did not."""
    last = output.strip().rpartition("\n")[2]
    if not last.startswith('{"bench"'):
        return None
    fields = ("value", "unit", "peer", "peer_value", "most")
    rows = json.loads(last)["figures"]
    return [Figure(f"{name}: {row['name']}", *(row[field] for field in fields)) for row in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="NAME", help=", ".join(BENCHES))
    raise SystemExit(main(parser.parse_args().names or BENCHES))
