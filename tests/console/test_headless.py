"""The headless twin: every view in every form, once and as it changes, with forms and exit codes that hold."""

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.cli.outcome import code_of
from console.cli.schemas import FORMS, schema_of
from console.live.catalog import VIEWS
from console.live.views.spec import ViewSpec
from protocol.client.transport import Refused, Unintelligible, Unreachable
from tests.console.api_server import api_served
from tests.console.plane_server import Served, seed, served
from tests.console.test_one_shot import ROOT, clean, funai

GOLDEN = Path(__file__).parent / "schemas"


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("plane")
    with served(folder) as plane, api_served(folder / "api") as api:
        asyncio.run(seed(plane))
        yield replace(plane, api_url=api)


def keys_of(view: str) -> set[str]:
    form = schema_of(view)
    return set(form["$defs"][form["items"]["$ref"].rpartition("/")[2]]["properties"])


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_each_form_says_the_same(plane: Served, view: ViewSpec[Any]) -> None:
    words = ("view", view.name, "-o")
    whole = json.loads(funai(plane.environ, *words, "json").stdout)
    lines = [json.loads(line) for line in funai(plane.environ, *words, "ndjson").stdout.splitlines()]
    rows = list(csv.DictReader(io.StringIO(funai(plane.environ, *words, "csv").stdout.decode())))
    assert len(whole) == len(lines) == len(rows)
    assert [sorted(each) for each in whole] == [sorted(each) for each in lines]
    assert all(set(each) <= keys_of(view.name) for each in whole)
    assert rows == [] or list(rows[0]) == [field.name for field in view.fields]


def test_sorted_and_filtered_as_in_the_console(plane: Served) -> None:
    failed = funai(plane.environ, "jobs", "--filter", "status:failed", "-o", "csv").stdout.decode()
    assert [row["status"] for row in csv.DictReader(io.StringIO(failed))] == ["FAILED"]
    by_app = funai(plane.environ, "jobs", "--sort", "-app", "-o", "json").stdout
    assert [job["appId"] for job in json.loads(by_app)] == ["20003", "20002", "20001"]
    assert funai(plane.environ, "jobs", "--sort", "colour").returncode == 2
    assert funai(plane.environ, "jobs", "--filter", "/(/").returncode == 2
    assert funai(plane.environ, "view", "nothing").returncode == 2


def test_answers_to_changes_for_programs(plane: Served) -> None:
    told = funai(plane.environ, "cordon", "rt-node-03", "-o", "json")
    assert json.loads(told.stdout) == {"node": "rt-node-03", "enabled": False}
    assert funai(plane.environ, "uncordon", "rt-node-03", "-o", "csv").stdout == b"node,enabled\nrt-node-03,True\n"
    made = funai(plane.environ, "deploy", "20002", "--ref", "main", "-o", "ndjson")
    job = json.loads(made.stdout)
    assert (job["appId"], job["status"]) == ("20002", "PENDING")
    gone = json.loads(funai(plane.environ, "cancel", job["id"], "-o", "json").stdout)
    assert gone["status"] == "CANCELLED"


def test_what_changes_is_written_as_it_happens(plane: Served) -> None:
    argv = [sys.executable, "-m", "console", "nodes", "--watch", "-o", "ndjson"]
    with subprocess.Popen(
        ["env", "--default-signal=INT", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean(plane.environ)
    ) as child:
        assert child.stdout is not None
        try:
            first = [json.loads(child.stdout.readline()) for _ in range(3)]
            assert {line["change"] for line in first} == {"put"}
            assert {line["key"] for line in first} == {str(line["object"]["nodeId"]) for line in first}
            funai(plane.environ, "cordon", "rt-node-02")
            changed = json.loads(child.stdout.readline())
            assert (changed["version"], changed["view"], changed["object"]["enabled"]) == (1, "nodes", False)
            child.send_signal(signal.SIGINT)
            assert child.wait(90) == 130
        finally:
            child.kill()


def test_what_is_fetched_beside_the_snapshot_is_watched(plane: Served) -> None:
    argv = [sys.executable, "-m", "console", "view", "events", "--watch", "-o", "ndjson"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean(plane.environ)) as child:
        assert child.stdout is not None
        try:
            known = len(json.loads(funai(plane.environ, "view", "events", "-o", "json").stdout))
            before = [json.loads(child.stdout.readline()) for _ in range(known)]
            assert {line["view"] for line in before} == {"events"}
            funai(plane.environ, "cordon", "rt-node-02")
            funai(plane.environ, "uncordon", "rt-node-02")
            assert json.loads(child.stdout.readline())["object"]["kind"] == "node"
        finally:
            child.kill()


@pytest.mark.parametrize("view", FORMS)
def test_forms_do_not_change_unnoticed(view: str) -> None:
    """Raise the version in console/cli/schemas.py when readers would notice; then write the form anew."""
    golden = GOLDEN / f"{view}.json"
    made = json.dumps(schema_of(view), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("FUNAI_WRITE_SCHEMAS") == "1":
        golden.write_text(made, "utf-8")
    assert golden.read_text("utf-8") == made, f"FUNAI_WRITE_SCHEMAS=1 writes {golden.name} anew"


def test_every_view_has_a_form() -> None:
    assert tuple(FORMS) == tuple(view.name for view in VIEWS)


def test_exit_codes() -> None:
    assert code_of(Unreachable("no answer")) == 3
    assert [code_of(Refused(status, "no")) for status in (429, 503, 504)] == [3, 3, 3]
    assert [code_of(Refused(status, "no")) for status in (400, 401, 403, 404, 409, 422)] == [4] * 6
    assert [code_of(Refused(500, "no")), code_of(Unintelligible("what?"))] == [1, 1]


def complete(plane: Served, *words: str) -> list[str]:
    line = " ".join(("funai", *words))
    asked = {"_FUNAI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    argv = [sys.executable, "-m", "console"]
    done = subprocess.run(argv, capture_output=True, env=clean({**plane.environ, **asked}), timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().split()


def test_the_shell_completes_commands_and_live_names(plane: Served) -> None:
    assert {"jobs", "job"} <= set(complete(plane, "jo"))
    assert complete(plane, "cordon", "rt-node-0") == ["rt-node-01", "rt-node-02", "rt-node-03"]
    assert len(complete(plane, "cancel", "")) >= 3
    assert complete(plane, "releases", "2000") == ["20001", "20002", "20003"]
    assert complete(plane, "jobs", "--out") == ["--output"]
    nowhere = Served("", plane.folder / "nowhere", lambda: None)
    assert complete(nowhere, "cordon", "rt") == []
    script = funai(plane.environ, "completion", "bash").stdout
    assert b"_FUNAI_COMPLETE=complete_bash" in script


@pytest.mark.parametrize(
    "words", [("jobs", "-o", "json"), ("view", "nodes"), ("schema", "jobs"), ("cordon", "rt-node-01")]
)
def test_nothing_headless_loads_textual(plane: Served, words: tuple[str, ...]) -> None:
    code = (
        "import sys, atexit\n"
        "from console.cli.main import main\n"
        "atexit.register(lambda: sys.stderr.write(str(any(n.split('.')[0] == 'textual' for n in sys.modules))))\n"
        f"sys.argv = ['funai', *{words!r}]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=clean(plane.environ), cwd=ROOT, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"False"), done.stderr


def test_the_console_as_sentences(plane: Served) -> None:
    funai(plane.environ, "uncordon", "rt-node-01")
    argv = [sys.executable, "-m", "console", "console", "--plain", "--lang", "en"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean(plane.environ), text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None

        def until(text: str) -> str:
            for line in iter(child.stdout.readline, "") if child.stdout else ():
                assert "\x1b" not in line
                if text in line:
                    return line
            raise AssertionError(f"{text!r} was not said")

        try:
            assert "live" in until("live")
            until("Jobs: ")
            child.stdin.write("nodes\n")
            child.stdin.flush()
            until("Nodes: 3.")
            funai(plane.environ, "cordon", "rt-node-01")
            assert until("changed").startswith("Nodes: node rt-node-01 changed: health DISABLED")
            child.stdin.write("events\n")
            child.stdin.flush()
            assert not until("Events: ").startswith("Events: 0.")
            child.stdin.write("quit\n")
            child.stdin.flush()
            assert child.wait(90) == 0
        finally:
            child.kill()
