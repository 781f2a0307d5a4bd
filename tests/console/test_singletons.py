"""`funai singletons`, against the real control plane."""

import json
from pathlib import Path

from tests.console.plane_server import served
from tests.console.test_one_shot import funai


def test_who_does_what_for_people_and_programs(tmp_path: Path) -> None:
    with served(tmp_path) as plane:
        while not (items := json.loads(funai(plane.environ, "singletons", "-o", "json").stdout)):
            continue
        assert {"reaper", "retention", "tidy"} <= {item["name"] for item in items}
        shown = funai(plane.environ, "singletons")
    assert shown.returncode == 0
    text = shown.stdout.decode()
    assert text.splitlines()[0].split() == ["WORK", "SINCE", "TAKEOVERS", "REPLICA"]
    assert items[0]["holder"] in text
