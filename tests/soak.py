"""`python -m tests.soak --minutes 60`: three control planes behind a gateway on one database, under traffic all along.

Again and again one of them, of chance, is killed, paused or replaced. The seed is printed first; a line a minute says
how far it is. At the end nothing may be lost, doubled or repeated, no answer may have been a 500, and no process may
have grown beyond its bound.
"""

import argparse
import asyncio
import random
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pymysql

from tests.support import real
from tests.support.replicas import ReplicaProcess, behind_gateway
from tests.support.traffic import Traffic

#: What one control plane may hold in memory, in MiB.
MOST_MIB: Final = 200
_PAUSES: Final = (2.0, 5.0, 10.0)
_REPORT_SECONDS: Final = 60.0


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="of chance unless given")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else secrets.randbelow(2**31)
    _say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="soak") as place:
        folder = Path(place)
        with real.mariadb(folder / "mariadb") as server:
            _create_database(server)
            with behind_gateway(folder / "replicas", f"{server}/soak") as (url, replicas):
                found = asyncio.run(_soak(url, replicas, chosen.minutes * 60, random.Random(seed)))
    for problem in found:
        _say(problem)
    _say("nothing was found" if not found else f"{len(found)} problems")
    return 1 if found else 0


async def _soak(url: str, replicas: Sequence[ReplicaProcess], seconds: float, chance: random.Random) -> Sequence[str]:
    traffic, most, mishaps = Traffic(url), 0.0, 0
    until = time.monotonic() + seconds
    report_at = time.monotonic() + _REPORT_SECONDS
    async with traffic.flowing():
        while time.monotonic() < until:
            await _mishap(chance.choice(replicas), chance)
            mishaps += 1
            most = max([most, *(_resident_mib(replica.pid) for replica in replicas)])
            if time.monotonic() >= report_at:
                report_at += _REPORT_SECONDS
                _say(_progress(traffic, mishaps, most))
    _say(_progress(traffic, mishaps, most))
    found = list(traffic.violations())
    if traffic.refusals.get(500):
        found.append(f"{traffic.refusals[500]} answers were 500")
    if most > MOST_MIB:
        found.append(f"a control plane held {most:.0f} MiB, more than {MOST_MIB}")
    return found


async def _mishap(replica: ReplicaProcess, chance: random.Random) -> None:
    """One of three, then a moment of quiet."""
    kind = chance.randrange(3)
    if kind == 0:
        await asyncio.to_thread(replica.kill)
        replica.start()
    elif kind == 1:
        replica.signal(signal.SIGSTOP)
        await asyncio.sleep(chance.choice(_PAUSES))
        replica.signal(signal.SIGCONT)
    else:
        await asyncio.to_thread(replica.terminate)
        replica.start()
    await asyncio.to_thread(replica.wait_ready)
    await asyncio.sleep(chance.choice(_PAUSES))


def _progress(traffic: Traffic, mishaps: int, most: float) -> str:
    jobs = (
        f"{len(traffic.acknowledged)} jobs ordered, {len(traffic.succeeded)} done in {len(traffic.attempts)} attempts"
    )
    refused = ", ".join(f"{count} x {status or 'no answer'}" for status, count in sorted(traffic.refusals.items()))
    return f"{mishaps} mishaps; {jobs}; refused: {refused or 'none'}; at most {most:.0f} MiB"


def _resident_mib(pid: int) -> float:
    """Resident memory now (`VmRSS`, proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _create_database(server: str) -> None:
    port = int(server.rsplit(":", 1)[1])
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", password="tests-only", autocommit=True)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE soak")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
