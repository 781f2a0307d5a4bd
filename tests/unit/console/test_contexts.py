"""Contexts: the operator's own file, and which control plane is meant."""

import json
from pathlib import Path

import pytest

from console.columns import ChosenColumns
from console.config import InvalidConfig, load
from console.settings import NotConfigured, config_path, read, read_all

SECRET = "a-token-that-nobody-else-sees"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "config" / "funai"
    folder.mkdir(parents=True)
    token = tmp_path / "dev.token"
    token.write_text(f"{SECRET}\n")
    token.chmod(0o600)
    (folder / "config.toml").write_text(
        f"""
        default = "dev"
        theme = "quiet"
        columns = {{ jobs = ["status", "app"] }}
        [contexts.dev]
        deploy-url = "http://127.0.0.1:7002/"
        token-file = "{token}"
        [contexts.prod]
        deploy-url = "https://deploy.example"
        token-command = ["printf", "%s", "{SECRET}"]
        production = true
        theme = "loud"
        columns = {{ nodes = ["node"] }}
        """
    )
    return tmp_path


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"XDG_CONFIG_HOME": str(home / "config"), "FUNAI_DATA_DIR": str(home / "none")} | more


def test_the_default_context_counts_where_nothing_else_says(home: Path) -> None:
    found = read(environ(home))
    assert (found.name, found.deploy_url, found.admin_token) == ("dev", "http://127.0.0.1:7002", SECRET)
    assert (found.production, found.write, found.theme) == (False, False, "quiet")
    assert SECRET not in repr(found)


def test_several_contexts_each_with_its_own(home: Path) -> None:
    dev, prod = read_all(environ(home, FUNAI_CONTEXT="dev, prod,dev"))
    assert (dev.name, prod.name) == ("dev", "prod")
    assert prod.production and prod.theme == "loud" and prod.admin_token == SECRET
    assert prod.columns == {"jobs": ("status", "app"), "nodes": ("node",)}
    with pytest.raises(NotConfigured, match="several"):
        read(environ(home, FUNAI_CONTEXT="dev,prod"))


def test_the_environment_and_the_data_folder_win_over_the_default(home: Path) -> None:
    given = environ(home, FUNAI_DEPLOY_URL="http://other", DEPLOY_ADMIN_TOKEN="own")
    assert (read(given).deploy_url, read(given).name) == ("http://other", "")
    data = home / "none"
    data.mkdir()
    (data / "platform.json").write_text(json.dumps({"deploy": "http://here"}))
    assert read(environ(home, DEPLOY_ADMIN_TOKEN="own")).deploy_url == "http://here"


def test_a_named_context_never_means_another_place(home: Path) -> None:
    given = environ(home, FUNAI_DEPLOY_URL="http://other", DEPLOY_ADMIN_TOKEN="own", FUNAI_CONTEXT="prod")
    assert (read(given).deploy_url, read(given).admin_token) == ("https://deploy.example", SECRET)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x", "not TOML"),
        ("unknown = 1", "unknown"),
        ('default = "a"', "no such context"),
        ('[contexts.a]\ndeploy-url = "http://a"', "contexts.a needs a token-file or a token-command"),
        ('[contexts.a]\ndeploy-url = "ftp://a"\ntoken-file = "x"', "contexts.a.deploy-url is not an address"),
        (f'[contexts.a]\ndeploy-url = "http://u:{SECRET}@a"\ntoken-file = "x"', "holds a name or password"),
        (f'[contexts.a]\ndeploy-url = "http://a"\ntoken = "{SECRET}"', "contexts.a.token"),
        ('[contexts."a b"]\ndeploy-url = "http://a"\ntoken-file = "x"', "contexts.a b"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is_repeated(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    with pytest.raises(InvalidConfig, match=words) as refused:
        load(file)
    assert SECRET not in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('token-file = "/nowhere/at/all"', "is not there"),
        ('token-command = ["/nowhere/at/all"]', "cannot be run"),
        ('token-command = ["sh", "-c", "echo secret-words >&2; exit 3"]', "exit code 3"),
        ('token-command = ["true"]', "empty"),
    ],
)
def test_a_token_that_is_not_to_be_had(line: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'default = "a"\n[contexts.a]\ndeploy-url = "http://a"\n{line}\n')
    with pytest.raises(NotConfigured, match=words) as refused:
        read({"FUNAI_CONFIG": str(file), "FUNAI_DATA_DIR": str(tmp_path)})
    assert "secret-words" not in str(refused.value)


def test_a_token_file_that_others_may_read_is_not_used(home: Path) -> None:
    (home / "dev.token").chmod(0o644)
    with pytest.raises(NotConfigured, match="chmod 600"):
        read(environ(home))


def test_an_unknown_name_is_refused_with_those_there_are(home: Path) -> None:
    with pytest.raises(NotConfigured, match=r"no context stage.*dev, prod"):
        read(environ(home, FUNAI_CONTEXT="stage"))


def test_where_the_file_is() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}) == Path("/x/funai/config.toml")
    assert config_path({"XDG_CONFIG_HOME": "x", "HOME": "/h"}) == Path("/h/.config/funai/config.toml")
    assert config_path({"FUNAI_CONFIG": "/a/b.toml"}) == Path("/a/b.toml")


def test_chosen_columns_are_kept_by_context_and_view(tmp_path: Path) -> None:
    file = tmp_path / "state" / "columns.json"
    usual = {"jobs": ("status",)}
    ChosenColumns(file, "prod", usual).keep("jobs", ("app", "age"))
    assert ChosenColumns(file, "prod", usual).of("jobs") == ("app", "age")
    assert ChosenColumns(file, "dev", usual).of("jobs") == ("status",)
    ChosenColumns(file, "prod", usual).keep("jobs", ())
    assert ChosenColumns(file, "prod", usual).of("jobs") == ("status",)
    file.write_text("broken")
    assert ChosenColumns(file, "prod", usual).of("jobs") == ("status",)
    ChosenColumns(None, "prod", usual).keep("jobs", ("app",))
