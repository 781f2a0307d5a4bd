"""Where the console finds the platform."""

import json
from pathlib import Path

import pytest

from console.connect import entry
from console.settings import ConsoleSettings, NotConfigured, read, recordings_file, records

TOKEN = "token-of-an-operator"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "platform.json").write_text(json.dumps({"deploy": "http://127.0.0.1:7002", "api": "http://a:8080"}))
    (tmp_path / "credentials.env").write_text(f"# secrets\nDEPLOY_ADMIN_TOKEN={TOKEN}\nOTHER=x\n")
    (tmp_path / "credentials.env").chmod(0o600)
    return tmp_path


def test_the_data_folder_says_it_all(folder: Path) -> None:
    found = read({"FUNAI_DATA_DIR": str(folder)})
    assert (found.deploy_url, found.api_url, found.admin_token) == ("http://127.0.0.1:7002", "http://a:8080", TOKEN)
    assert found.place == "127.0.0.1:7002"
    assert TOKEN not in repr(found)


def test_the_environment_wins(folder: Path) -> None:
    environ = {"FUNAI_DATA_DIR": str(folder), "FUNAI_DEPLOY_URL": "https://d", "DEPLOY_ADMIN_TOKEN": "new,old"}
    found = read(environ)
    assert (found.deploy_url, found.admin_token) == ("https://d", "new")


def test_a_platform_elsewhere_is_changed_only_when_the_operator_says_so(folder: Path) -> None:
    here = {"FUNAI_DATA_DIR": str(folder)}
    elsewhere = here | {"FUNAI_DEPLOY_URL": "https://d"}
    assert read(here).write and not read(elsewhere).write
    assert read(elsewhere | {"FUNAI_CONSOLE_WRITE": "true"}).write
    assert not read(here | {"FUNAI_CONSOLE_WRITE": "false"}).write
    assert not read(here).production and read(here | {"FUNAI_CONSOLE_PRODUCTION": "true"}).production
    with pytest.raises(NotConfigured, match="true or false"):
        read(here | {"FUNAI_CONSOLE_WRITE": "perhaps"})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_credentials_that_others_may_read_are_not_used(mode: int, folder: Path) -> None:
    (folder / "credentials.env").chmod(mode)
    with pytest.raises(NotConfigured, match="chmod 600") as refused:
        read({"FUNAI_DATA_DIR": str(folder)})
    assert TOKEN not in str(refused.value)
    assert read({"FUNAI_DATA_DIR": str(folder), "DEPLOY_ADMIN_TOKEN": "own"}).admin_token == "own"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "bin/up"),
        ({"FUNAI_DEPLOY_URL": "ftp://x", "DEPLOY_ADMIN_TOKEN": "t"}, "FUNAI_DEPLOY_URL"),
        ({"FUNAI_DEPLOY_URL": "http://x"}, "DEPLOY_ADMIN_TOKEN"),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], words: str, tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match=words):
        read(environ | {"FUNAI_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize("content", ["not json", "[1]"])
def test_a_broken_file_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "platform.json").write_text(content)
    with pytest.raises(NotConfigured, match=r"platform\.json"):
        read({"FUNAI_DATA_DIR": str(tmp_path)})


def test_recordings_have_their_place_and_can_be_turned_off(tmp_path: Path) -> None:
    assert recordings_file({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "funai" / "recordings.sqlite"
    assert recordings_file({"XDG_STATE_HOME": "relative"}).is_absolute()
    assert records({}) and not records({"FUNAI_RECORD": "Off"})


async def test_an_operators_own_key_is_shown_as_a_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = ConsoleSettings(tmp_path, "http://deploy", "http://api", "t")
    for token, header in (("fuk_of-somebody", "Authorization"), ("of-all-operators", "X-Admin-Token")):
        monkeypatch.setenv("API_ADMIN_TOKEN", token)
        client = entry(settings)
        async with client.transport:
            assert list(client.transport.proof) == [header] and token in client.transport.proof[header]
