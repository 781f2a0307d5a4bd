"""`funai audit`, against the real control plane."""

import json
from pathlib import Path

from tests.console.plane_server import served
from tests.console.test_one_shot import funai


def test_who_changed_what_for_people_and_programs(tmp_path: Path) -> None:
    with served(tmp_path) as plane:
        shown = funai(plane.environ, "deploy", "a1", "--user", "1", "--image", "busybox:1.36")
        assert shown.returncode == 0, shown.stderr
        found = funai(plane.environ, "audit", "--kind", "job", "--actor", "admin", "-n", "1", "-o", "json")
        text = funai(plane.environ, "audit", "--kind", "job").stdout.decode()
    (entry,) = json.loads(found.stdout)
    assert (entry["change"], entry["sourceAddress"], entry["before"]) == ("created", "127.0.0.1", None)
    assert entry["after"]["id"] == shown.stdout.decode().strip()
    assert text.splitlines()[0].split()[:4] == ["NUMBER", "WHEN", "(UTC)", "ACTOR"] and entry["subject"] in text
