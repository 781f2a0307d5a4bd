"""What a runner adds to a deployment, and what it holds in memory while it builds (FUNAI_TEST_DOCKER_HOST).

    python -m bench.runner             # 100 deployments; about six minutes
    python -m bench.runner 20
    python -m bench.runner --builder buildah

- of each deployment of a tiny app, one after the other, the time from the job's creation to its end, less its stages:
  clone, build, push and start. Once with the stages as they are reported, and once with the work in them alone, as the
  runner's own metrics count it, so that what it asks and says within a stage counts as overhead, too;
- the most resident memory of one runner while four builds at once print 24 MB each and push 8 MB each.

A control plane, an agent with its gateway, a git server, a registry and the runner, each a process of its own.
"""

import argparse
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx

from bench.figures import Figure, median, percentile, show
from bench.servers import resident_mb
from tests.support import real
from tests.support.git_host import git_host
from tests.support.redeploys import engine_url
from tests.support.whole_path import REPOSITORY, Runner, WholePath, whole_path

OVERHEAD_MS: Final = 500.0
RESIDENT_MB: Final = 150.0
BUILDS: Final = 4
_PRINTED_MB, _PUSHED_MB = 24, 8
_APPS: Final = 5
_STEPS: Final = re.compile(r'^funai_runner_step_seconds_sum\{phase="[A-Z]+"\} ([0-9.e+-]+)$', re.M)
_PATIENCE_SECONDS: Final = 300.0


def main(deploys: int, builder: str) -> int:
    """Measure and print; exit code 0 if every limit held."""
    with platform(builder) as (path, registry):
        with path.running("bench-runner", **_settings(builder, registry, slots=1)) as runner:
            spans = [deployed(path, runner, number) for number in range(deploys + 1)][1:]
        with path.running("bench-full", **_settings(builder, registry, slots=BUILDS)) as runner:
            resting = resident_mb(runner.pid)
            most = under_builds(path, runner)
    work, stages = [span.beside_work for span in spans], [span.beside_stages for span in spans]
    limit = ("limit", OVERHEAD_MS)
    return show(
        f"a runner with {builder}, {deploys} deployments",
        [
            Figure("a deployment, median", median([span.whole for span in spans]), "ms", "none", 0, 1.0),
            Figure("all but the work of its stages, median", median(work), "ms", *limit, 1.0),
            Figure("all but the work of its stages, p99", percentile(work, 0.99), "ms", *limit, 1.0),
            Figure("all but its stages as reported, median", median(stages), "ms", *limit, 1.0),
            Figure("all but its stages as reported, p99", percentile(stages, 0.99), "ms", *limit, 1.0),
            Figure("resident at rest", resting, "MB", "limit", RESIDENT_MB, 1.0),
            Figure(f"most resident, {BUILDS} builds that print and push", most, "MB", "limit", RESIDENT_MB, 1.0),
        ],
    )


@dataclass(frozen=True, slots=True)
class Span:
    """One deployment, in milliseconds."""

    whole: float
    stages: float
    work: float

    @property
    def beside_stages(self) -> float:
        """What was none of its stages."""
        return self.whole - self.stages

    @property
    def beside_work(self) -> float:
        """What was not the work of one."""
        return self.whole - self.work


def deployed(path: WholePath, runner: Runner, number: int) -> Span:
    """Deploy a new commit of one of a few apps."""
    app_id = f"b{number % _APPS}"
    dockerfile = 'FROM busybox:1.36\nCOPY index.html /www/\nCMD ["httpd","-f","-p","3000","-h","/www"]\n'
    path.push(f"app-{app_id}", {"Dockerfile": dockerfile, "index.html": f"{number}\n"})
    before = worked_ms(runner)
    job = path.succeeded(path.create(app_id), _PATIENCE_SECONDS)
    stages = sum(_ms(each["endedAt"]) - _ms(each["startedAt"]) for each in job["stages"])
    return Span(_ms(job["finishedAt"]) - _ms(job["createdAt"]), stages, worked_ms(runner) - before)


def worked_ms(runner: Runner) -> float:
    """What the runner's metrics count as the work of stages, of all jobs so far."""
    text = httpx.get(f"http://127.0.0.1:{runner.port}/metrics", trust_env=False).text
    return 1000 * sum(float(found) for found in _STEPS.findall(text))


def under_builds(path: WholePath, runner: Runner) -> float:
    """The most that the runner held in memory while as many builds ran as it has slots for."""
    line = "a line of a build that says a lot, number after number, until nobody reads it"
    say = f'RUN yes "{line}" | head -c {_PRINTED_MB * 10**6}'
    make = f"RUN head -c {_PUSHED_MB * 10**6} /dev/urandom > /data"
    serve = 'CMD ["httpd","-f","-p","3000","-h","/"]'
    for number in range(BUILDS):
        text = f"FROM busybox:1.36\nENV MARK={secrets.token_hex(6)}\n{say}\n{make}\n{serve}\n"
        path.push(f"app-full{number}", {"Dockerfile": text})
    jobs = [path.create(f"full{number}", containerPort=3000) for number in range(BUILDS)]
    for job_id in jobs:
        path.succeeded(job_id, _PATIENCE_SECONDS)
    return peak_mb(runner.pid)


def peak_mb(pid: int) -> float:
    """The most resident memory that a process had so far (`VmHWM`, proc(5))."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text("ascii"), re.M)
    return int(found[1]) / 1024 if found else 0.0


@contextmanager
def platform(builder: str) -> Iterator[tuple[WholePath, str]]:
    """Everything but the runner, and the registry's host."""
    name = f"runner-bench-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix="funai-rb-") as place, ExitStack() as stack:
        folder = Path(place)
        for part in ("git", "registry"):
            (folder / part).mkdir()
        git = stack.enter_context(git_host(folder / "git", REPOSITORY))
        registry = stack.enter_context(real.registry(folder / "registry"))
        yield stack.enter_context(whole_path(folder / "path", engine_url(), git, name)), registry


def _settings(builder: str, registry: str, *, slots: int) -> dict[str, str]:
    return {
        "RUNNER_BUILDER": builder,
        "RUNNER_SLOTS": str(slots),
        "ACR_REGISTRY": registry,
        "RUNNER_DOCKER_BUILD_PULL": "false",
        "JOB_LEASE_SECONDS": "30",
    }


def _ms(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() * 1000


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("deploys", type=int, nargs="?", default=100)
    parser.add_argument("--builder", choices=("engine", "buildah"), default="engine")
    chosen = parser.parse_args()
    raise SystemExit(main(chosen.deploys, chosen.builder))
