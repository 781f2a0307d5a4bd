"""One-shot commands as scripts see them: output, errors and exit codes, against the real control plane."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from protocol.configuration import RolloutStrategy
from protocol.jobs import JobStatus, StoredPayload
from tests.console.plane_server import Served, seed, served

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane:
        yield plane


@pytest.fixture
def jobs(plane: Served) -> dict[str, str]:
    return asyncio.run(seed(plane))


def clean(more: Mapping[str, str]) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FUNAI_", "DEPLOY_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def funai(where: Mapping[str, str], *words: str) -> "subprocess.CompletedProcess[bytes]":
    argv = [sys.executable, "-m", "console", *words]
    return subprocess.run(argv, capture_output=True, env=clean(where), cwd="/", timeout=120, check=False)


async def get(plane: Served, job_id: str) -> JobStatus:
    admin = plane.admin()
    async with admin.transport:
        return (await admin.get(job_id)).status


def test_listings_for_people_and_programs(plane: Served, jobs: dict[str, str]) -> None:
    table = funai(plane.environ, "jobs")
    assert table.returncode == 0 and table.stderr == b""
    lines = table.stdout.decode().splitlines()
    assert lines[0].split() == ["STATUS", "JOB", "APP", "PHASE", "TRY", "RUNNER", "FOR", "AGE", "ETA", "WHY"]
    assert len(lines) == 4
    assert "✗ FAILED" in table.stdout.decode() and "build_failed: npm ci" in table.stdout.decode()
    data = json.loads(funai(plane.environ, "jobs", "--output", "json", "--limit", "2").stdout)
    assert [job["appId"] for job in data] == ["20003", "20002"]
    nodes = funai(plane.environ, "nodes").stdout.decode()
    assert "███│██│█████████······  71%" in nodes and "✗ UNHEALTHY" in nodes
    for view in ("nodes", "placements", "runners", "apps"):
        answer = funai(plane.environ, view, "-o", "json")
        assert answer.returncode == 0
        assert isinstance(json.loads(answer.stdout), list)
    assert "rt-node-01" in funai(plane.environ, "placements").stdout.decode()
    assert "BUILD" in funai(plane.environ, "runners").stdout.decode()


def test_one_job_with_what_its_stages_took_and_made(plane: Served, jobs: dict[str, str]) -> None:
    shown = funai(plane.environ, "job", jobs["20002"][:8])
    assert (shown.returncode, shown.stderr) == (0, b"")
    lines = shown.stdout.decode().splitlines()
    assert lines[0] == f"job      {jobs['20002']}"
    assert "status   FAILED: build_failed: npm ci" in lines[2]
    header = lines.index("") + 1
    assert lines[header].split() == ["TRY", "STAGE", "OUTCOME", "TOOK", "SIZE", "MADE"]
    assert lines[header + 1].split() == ["1", "CLONE", "done", "0.7s", "52.5", "kB", "commit", "0123456789ab"]
    assert lines[header + 2].split() == ["1", "BUILD", "failed", "1.5s", "–", "–"]
    assert json.loads(funai(plane.environ, "job", jobs["20002"], "-o", "json").stdout)["stages"][0]["bytes"] == 52_481
    assert funai(plane.environ, "job", "ffffffff").returncode == 1


def test_cancel_by_the_beginning_of_an_id(plane: Served, jobs: dict[str, str]) -> None:
    done = funai(plane.environ, "cancel", jobs["20003"][:8])
    assert (done.returncode, done.stderr) == (0, b"")
    assert asyncio.run(get(plane, jobs["20003"])) is JobStatus.CANCELLED
    again = funai(plane.environ, "cancel", jobs["20002"])
    assert again.returncode == 4
    assert again.stdout == b"" and again.stderr.decode().startswith(f"funai: job {jobs['20002']} was not cancelled: ")
    assert len(again.stderr.splitlines()) == 1
    assert funai(plane.environ, "cancel", "ffffffff").returncode == 1
    assert funai(plane.environ, "cancel", "../../admin").returncode == 2


def test_logs_are_bytes_in_a_pipe(plane: Served, jobs: dict[str, str]) -> None:
    shown = funai(plane.environ, "logs", jobs["20001"])
    assert (shown.returncode, shown.stdout) == (0, b"\x1b[32mcloning\x1b[0m\n")


def test_cordon_and_uncordon(plane: Served, jobs: dict[str, str]) -> None:
    assert funai(plane.environ, "cordon", "rt-node-01").returncode == 0
    assert "DISABLED" in funai(plane.environ, "nodes").stdout.decode()
    assert funai(plane.environ, "uncordon", "rt-node-01").returncode == 0
    unknown = funai(plane.environ, "cordon", "nowhere")
    assert unknown.returncode == 4 and b"nowhere" in unknown.stderr


def test_drain_shows_what_it_would_do_then_moves_and_waits(plane: Served, jobs: dict[str, str]) -> None:
    preview = funai(plane.environ, "drain", "rt-node-01", "--preview")
    assert preview.returncode == 1 and b"2 of 2 apps have no place to go: rt-node-02" in preview.stderr
    refused = funai(plane.environ, "drain", "rt-node-01")
    assert refused.returncode == 4 and b"cannot be drained" in refused.stderr
    part = funai(plane.environ, "drain", "rt-node-01", "--partial", "--wait")
    assert (part.returncode, part.stdout) == (0, b"1\n"), part.stderr
    assert b"drain 1 of node rt-node-01: DONE 0 of " in part.stderr
    listed = funai(plane.environ, "drains").stdout.decode()
    assert "rt-node-01" in listed and "DONE 0 of" in listed
    assert "SKIPPED" in funai(plane.environ, "drains", "1").stdout.decode()
    assert funai(plane.environ, "drain-pause", "1").returncode == 4
    undone = funai(plane.environ, "drain-undo", "1", "--wait")
    assert undone.returncode == 0 and b"UNDONE" in undone.stderr
    assert "DISABLED" not in funai(plane.environ, "nodes").stdout.decode()


def test_deploy_repeats_the_newest_order(plane: Served, jobs: dict[str, str]) -> None:
    made = funai(plane.environ, "deploy", "20002", "--ref", "release/1")
    assert made.returncode == 0, made.stderr
    admin = plane.admin()

    async def newest() -> object:
        async with admin.transport:
            return (await admin.get(made.stdout.decode().strip())).payload

    stored = asyncio.run(newest())
    assert (getattr(stored, "git_ref", None), getattr(stored, "user_id", None)) == ("release/1", "1")
    busy = funai(plane.environ, "deploy", "20001", "--ref", "main")
    assert busy.returncode == 4 and b"busy" in busy.stderr
    assert funai(plane.environ, "deploy", "20009", "--ref", "main").returncode == 2
    assert funai(plane.environ, "deploy", "20002", "--ref", "-x").returncode == 2
    assert funai(plane.environ, "deploy", "20002", "--ref", "a", "--image", "b").returncode == 2
    image = funai(plane.environ, "deploy", "20009", "--user", "3", "--image", "busybox:1.36")
    assert image.returncode == 0, image.stderr


def test_a_configuration_comes_from_a_file(plane: Served, jobs: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "app.json"
    config.write_text('{"secrets": {"API_KEY": "hidden value"}, "strategy": "stop-first"}')
    options = ("deploy", "20011", "--user", "3", "--image", "busybox:1.36", "--config", str(config))
    made = funai(plane.environ, *options)
    assert made.returncode == 0, made.stderr
    admin = plane.admin()

    async def newest() -> StoredPayload:
        async with admin.transport:
            return (await admin.get(made.stdout.decode().strip())).payload

    shown = asyncio.run(newest()).config
    assert shown is not None and (shown.secrets, shown.strategy) == ({"API_KEY": None}, RolloutStrategy.STOP_FIRST)
    config.write_text('{"secrets": {"A-B": "hidden value"}}')
    refused = funai(plane.environ, *options)
    assert refused.returncode == 2 and b"A-B" in refused.stderr and b"hidden" not in refused.stderr


def test_a_control_plane_that_is_not_there(tmp_path: Path) -> None:
    gone = funai({"FUNAI_DEPLOY_URL": "http://127.0.0.1:1", "DEPLOY_ADMIN_TOKEN": "t"}, "jobs", "-o", "json")
    assert (gone.returncode, gone.stdout) == (3, b"")
    assert b"does not answer" in gone.stderr
    nowhere = funai({"FUNAI_DATA_DIR": str(tmp_path)}, "jobs")
    assert nowhere.returncode == 2 and b"bin/up" in nowhere.stderr


def test_a_wrong_token_and_wrong_usage(plane: Served) -> None:
    refused = funai({**plane.environ, "DEPLOY_ADMIN_TOKEN": "wrong"}, "nodes")
    assert refused.returncode == 4 and b"DEPLOY_ADMIN_TOKEN" in refused.stderr
    assert funai(plane.environ, "jobs", "--output", "xml").returncode == 2
    assert funai(plane.environ, "jobs", "--limit", "0").returncode == 2


def test_a_screenshot_of_live_data(plane: Served, jobs: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "nodes.svg"
    drawn = funai(plane.environ, "screenshot", "nodes", "--output", str(path), "--size", "100x30")
    assert drawn.returncode == 0, drawn.stderr
    assert path.read_text().startswith("<svg") and "rt-node-03" in path.read_text()
    assert 'url("http' not in path.read_text()
    assert funai(plane.environ, "screenshot", "nodes", "--output", str(path), "--size", "big").returncode == 2


@pytest.mark.parametrize(
    "module",
    ["console.cli.listing", "console.cli.actions", "console.cli.releases", "console.live.feed", "console.connect"],
)
def test_one_shot_commands_never_load_textual(module: str) -> None:
    code = f"import sys, {module}; sys.exit(any(name.split('.')[0] == 'textual' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=False).returncode == 0


def test_interrupted(plane: Served, jobs: dict[str, str]) -> None:
    # A run of the tests in the background ignores the signal, and would hand that down.
    argv = ["env", "--default-signal=INT", sys.executable, "-m", "console", "logs", jobs["20001"], "-f"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean(plane.environ)) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"\x1b[32mcloning\x1b[0m\n"
        child.send_signal(2)
        try:
            assert child.wait(90) == 130
        finally:
            child.kill()
