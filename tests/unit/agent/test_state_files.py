"""States on disk: what was saved is read again; what cannot be read or written is an error that names it."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemons.agent.adapters.state import JsonStates
from daemons.agent.domain.apps import AppState, Instance, Setback, begin
from daemons.agent.domain.steps import Strategy
from daemons.agent.domain.vigil import Trouble
from daemons.agent.ports import StateError

_INSTANCE = Instance("rt-u-7-5-r1", "i:t", "sha256:1", 20001, 3000, 1)


async def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    state = replace(
        begin(AppState("5", "7", 2, current=_INSTANCE), Strategy.STOP_FIRST),
        retiring=(Instance("rt-u-7-5-r2", "i", "sha256:2", 20002, 3000, 2),),
        trouble=Trouble(2, "it crashed", 1.5),
        setback=Setback(2, "it crashed", 1.5, 1),
    )
    files = JsonStates(tmp_path)
    await files.save(AppState("6"))
    await files.save(state)
    assert await JsonStates(tmp_path).load() == [state, AppState("6")]
    assert sorted(path.name for path in (tmp_path / "apps").iterdir()) == ["5.json", "6.json"]
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "apps").iterdir()] == [0o600, 0o600]


async def test_what_a_former_agent_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "5.json").write_text(
        '{"app_id": "5", "user_id": "7", "fence": 1, "candidate": null, "retiring": [], "previous_image_id": null, '
        '"current": {"container": "rt-u-7-5-r1", "image": "i:t", "image_id": "sha256:1", "port": 20001, '
        '"container_port": 3000, "fence": 1}}'
    )
    assert await JsonStates(tmp_path).load() == [AppState("5", "7", 1, current=_INSTANCE)]


async def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert await JsonStates(tmp_path / "new").load() == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"app_id": 5}', '{"app_id": "6"}'])
async def test_what_is_not_understood_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "apps"
    folder.mkdir()
    (folder / "5.json").write_text(text)
    with pytest.raises(StateError, match=r"5\.json"):
        await JsonStates(tmp_path).load()


async def test_half_a_write_is_not_seen(tmp_path: Path) -> None:
    files = JsonStates(tmp_path)
    await files.save(AppState("5", fence=1))
    (tmp_path / "apps" / ".5.json.new").write_text('{"app_id"')
    assert await files.load() == [AppState("5", fence=1)]
    await files.save(AppState("5", fence=2))
    assert await files.load() == [AppState("5", fence=2)]


async def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "apps").write_text("a file where the folder should be")
    with pytest.raises(StateError, match="app 5 cannot be written"):
        await JsonStates(tmp_path).save(AppState("5"))
