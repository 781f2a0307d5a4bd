"""What a build that prints 100 MB costs its runner in memory, over a real engine: FUNAI_TEST_DOCKER_HOST.

    python -m bench.joblog               # 100 MB of lines, then 100 MB of one line that a progress bar rewrites
    python -m bench.joblog 20            # as much of each

The runner is a process of its own. Its resident memory is looked at before, ten times a second meanwhile, and after.
"""

import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from bench.figures import Figure, show
from tests.support.git_host import git_host
from tests.support.redeploys import engine_url
from tests.support.whole_path import REPOSITORY, Runner, WholePath, page, whole_path

_MB = 1_000_000
_SECONDS = 1200
_LINES = "yes 'npm http fetch GET 200 https://registry.example/a-package 12ms (cache miss)' | head -c {size}"
_REWRITTEN = "yes ' 12% [=====>        ] 12.3 MB/s' | tr '\\n' '\\r' | head -c {size}"


def main(megabytes: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="funai-jl-") as folder,
        tempfile.TemporaryDirectory(prefix="funai-jl-git-") as git_folder,
        git_host(Path(git_folder), REPOSITORY) as git,
        whole_path(Path(folder), engine_url(), git, f"jl-bench-{secrets.token_hex(3)}") as path,
    ):
        runner = path.runner("runner-bench", RUNNER_BUILD_NETWORK="none", JOB_LEASE_SECONDS="60")
        runner.start()
        try:
            warm_up(path)
            for name, prints in (("lines", _LINES), ("one line, rewritten", _REWRITTEN)):
                figures += measured(path, runner, name, prints.format(size=megabytes * _MB), megabytes)
        finally:
            runner.close()
    return show(f"a runner's memory while a build prints {megabytes} MB", figures)


def warm_up(path: WholePath) -> None:
    """A build before the first look at memory: what is imported and made once does not count."""
    path.succeeded(path.publish("1", page("warm")), 120)


def measured(path: WholePath, runner: Runner, name: str, prints: str, megabytes: int) -> list[Figure]:
    """The memory of the runner over one build."""
    process = of_runner(runner)
    before = most = process.memory_info().rss
    done = threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(0.1):
            most = max(most, process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    began = time.perf_counter()
    try:
        job = path.ended(path.publish("2", page(name, f"RUN {prints}")), _SECONDS)
    finally:
        done.set()
        looking.join()
    seconds = time.perf_counter() - began
    if job["status"] != "SUCCEEDED" or job["logGaps"] != 1:
        raise SystemExit(f"job {job['status']}, {job['logGaps']} gaps: {job['errorMessage']}")
    after = process.memory_info().rss
    what = f"{name}: {megabytes} MB in {seconds:.0f} s"
    return [
        Figure(f"{what}; resident after", after / _MB, "MB", "before", before / _MB, 1.3),
        Figure(f"{what}; resident at most", most / _MB, "MB", "before", before / _MB, 1.5),
        Figure(f"{name}: bytes of log there", job["logLength"] / _MB, "MB", "limit", 16 * 1.05 * 1.048576, 1.0),
    ]


def of_runner(runner: Runner) -> psutil.Process:
    """The runner's process."""
    (found,) = [
        each
        for each in psutil.Process().children()
        if "daemons.runner" in each.cmdline() and each.environ().get("RUNNER_PORT") == str(runner.port)
    ]
    return found


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
