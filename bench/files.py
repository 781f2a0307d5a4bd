"""What large files and large trees cost the workspace node.

A node with nothing but files, in a process of its own. A gigabyte goes up as a signed stream and comes down again, a
gigabyte in parts too; then a tree of 50,000 files is listed and searched. Beside them, what the disk alone takes for
the same bytes, and how soon a change is told to somebody who watches.

    python -m bench.files
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import uvloop

from bench.figures import Figure, median, percentile, show
from daemons.kit.clock import SystemClock
from daemons.workspace.composition.files import FilePorts
from tests.support.workspace_calls import (
    APP,
    FILES,
    UID,
    USER,
    SignedCalls,
    TwinActivity,
    TwinEnsure,
    TwinHomes,
    serving,
    settings,
    whose,
)

MIB = 1024 * 1024
LARGE_BYTES = 1024 * MIB
PART_BYTES = 32 * MIB
FILE_COUNT = 50_000
LOOKS = 5
WRITES = 60
MEMORY_MIB = 150.0
TREE_MS = 1500.0
EVENT_MS = 100.0


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with tempfile.TemporaryDirectory(prefix="files-", dir=os.environ.get("FUNAI_BENCH_DISK")) as folder:
        root = Path(folder)
        app = TwinHomes(root / "homes").made(USER) / "apps" / APP
        app.mkdir()
        fill(app / "tree")
        own(app.parent)
        with node(root) as (url, pid):
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session:
                figures = await measured(SignedCalls(session, url), pid, app)
    return show("files: a gigabyte each way, 50,000 files", figures)


async def measured(calls: SignedCalls, pid: int, app: Path) -> list[Figure]:
    """All figures."""
    idle = peak_mib(pid)
    up = await seconds_to(uploaded(calls, "large"))
    down = await seconds_to(downloaded(calls, "large"))
    parts = await seconds_to(uploaded_in_parts(calls, "parts"))
    after = peak_mib(pid)
    assert (app / "large").stat().st_size == (app / "parts").stat().st_size == LARGE_BYTES
    disk = await asyncio.to_thread(written, app.parent / "raw")
    looks = [1000 * await seconds_to(asked(calls, "tree", maxEntries=20_000)) for _ in range(LOOKS)]
    found = [1000 * await seconds_to(asked(calls, "search", query="nowhere to be found")) for _ in range(LOOKS)]
    told = await told_ms(calls, app)
    memory = ("MiB", "limit", MEMORY_MIB, 1.0)
    return [
        Figure("memory of the node, highest, 3 x 1 GiB", after, *memory),
        Figure("memory of the node, idle", idle, *memory),
        Figure("1 GiB up", up, "s", "written to the same disk", disk, 6.0),
        Figure("1 GiB down", down, "s", "written to the same disk", disk, 6.0),
        Figure("1 GiB up in parts of 32 MiB", parts, "s", "written to the same disk", disk, 8.0),
        Figure("tree of 50,000 files, median", median(looks), "ms", "limit", TREE_MS, 1.0),
        Figure("search in 50,000 files, median", median(found), "ms", "limit", 5500.0, 1.0),
        Figure("a change until it is told, p95", percentile(told, 0.95), "ms", "limit", EVENT_MS, 1.0),
    ]


async def uploaded(calls: SignedCalls, path: str) -> None:
    """As one stream."""
    answer = await calls.stream("POST", f"{FILES}/upload-file", whose() | {"path": path}, large())
    assert answer.status == 200


async def uploaded_in_parts(calls: SignedCalls, path: str) -> None:
    """As tus does it."""
    headers = {"Upload-Length": str(LARGE_BYTES)}
    begun = await calls.call("POST", f"{FILES}/uploads", whose() | {"path": path}, headers=headers)
    upload = begun.headers["Location"].partition("?")[0]
    for offset in range(0, LARGE_BYTES, PART_BYTES):
        sent = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        part = [bytes(MIB)] * (PART_BYTES // MIB)
        assert (await calls.stream("PATCH", upload, whose(), part, sent)).status == 204


async def downloaded(calls: SignedCalls, path: str) -> None:
    """To nowhere."""
    count = 0
    async with calls.opened("GET", f"{FILES}/download-file", whose() | {"path": path}) as response:
        async for piece in response.content.iter_any():
            count += len(piece)
    assert count == LARGE_BYTES


async def asked(calls: SignedCalls, call: str, **query: object) -> None:
    """A question that is answered."""
    assert (await calls.call("GET", f"{FILES}/{call}", whose() | query)).status == 200


async def told_ms(calls: SignedCalls, app: Path) -> list[float]:
    """From a write of the user's own to the line that tells it."""
    found = []
    async with calls.opened("GET", f"{FILES}/events", whose()) as response:
        assert b"ready" in await response.content.readline()
        for number in range(WRITES):
            began = time.monotonic()
            (app / f"told-{number}").touch()
            while f"told-{number}".encode() not in await response.content.readline():
                continue
            found.append(1000 * (time.monotonic() - began))
    return found


async def seconds_to(work: object) -> float:
    """How long a call takes."""
    began = time.monotonic()
    assert asyncio.iscoroutine(work)
    await work
    return time.monotonic() - began


async def large() -> AsyncIterator[bytes]:
    """A gigabyte."""
    piece = bytes(MIB)
    for _ in range(LARGE_BYTES // MIB):
        yield piece


def written(path: Path) -> float:
    """Seconds that the disk takes for the same bytes, with what makes them last."""
    began, piece = time.monotonic(), bytes(MIB)
    with path.open("wb") as file:
        for _ in range(LARGE_BYTES // MIB):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - began


def fill(folder: Path) -> None:
    """Small files, a hundred to a folder."""
    for number in range(FILE_COUNT):
        if number % 100 == 0:
            (folder / str(number // 100)).mkdir(parents=True)
        (folder / str(number // 100) / f"{number}.ts").write_text("export const it = 1;\n")


def own(folder: Path) -> None:
    """Everything belongs to the workspaces' user."""
    for parent, _, names, handle in os.fwalk(folder):
        os.chown(parent, UID, UID)
        for name in names:
            os.chown(name, UID, UID, dir_fd=handle)


def peak_mib(pid: int) -> float:
    """The most memory that the process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


@contextmanager
def node(root: Path) -> Iterator[tuple[str, int]]:
    """A node in a process of its own: its address and its process."""
    argv = [sys.executable, "-m", "bench.files", "--serve", str(root)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdin
        try:
            yield json.loads(process.stdout.readline()), process.pid
        finally:
            process.stdin.close()
            process.wait(30)


async def serve(root: Path) -> int:
    """Serve until standard input ends."""
    ports = FilePorts(TwinHomes(root / "homes"), TwinActivity(), TwinEnsure(), SystemClock())
    async with serving(settings(root), ports) as url:
        print(json.dumps(url), flush=True)
        await asyncio.to_thread(sys.stdin.read)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--serve", type=Path)
    asked_for = parser.parse_args()
    sys.exit(uvloop.run(serve(asked_for.serve) if asked_for.serve else main()))
