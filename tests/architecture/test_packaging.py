"""What operators install fits what the daemons read."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import AliasChoices

from console.cli.launch import app
from daemons.kit import gateway_following, gateway_rendering
from daemons.kit.settings import Misconfigured, Settings, load

ROOT = Path(__file__).resolve().parents[2]
DAEMONS = ("deploy", "runner", "agent", "git", "api", "workspace")


def settings_of(name: str) -> type[Settings]:
    module = importlib.import_module(f"daemons.{name}.settings")
    kind: type[Settings] = getattr(module, f"{name.capitalize()}Settings")
    return kind


def variables(kind: type[Settings]) -> set[str]:
    names: set[str] = set()
    for field in kind.model_fields.values():
        alias = field.validation_alias
        names |= {str(choice) for choice in alias.choices} if isinstance(alias, AliasChoices) else {str(alias)}
    return names


def example(name: str) -> dict[str, str]:
    lines = (ROOT / "packaging" / "env" / f"{name}.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", DAEMONS)
def test_an_example_names_only_variables_that_are_read(name: str) -> None:
    assert set(example(name)) - variables(settings_of(name)) == set()


@pytest.mark.parametrize("name", DAEMONS)
def test_an_example_does_not_start_until_its_secrets_are_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in example(name).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(Misconfigured, match="placeholder") as refused:
        load(settings_of(name))
    assert "CHANGE_ME" not in str(refused.value)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_unit_starts_its_daemon_from_its_environment(name: str) -> None:
    unit = (ROOT / "packaging" / "systemd" / f"funai-{name}.service").read_text()
    assert f"funai daemon {name}\n" in unit
    assert f"EnvironmentFile=/etc/funai/{name}.env\n" in unit
    assert "RestartPreventExitStatus=78\n" in unit
    assert any(command.callback and command.callback.__name__ == "daemon" for command in app.registered_commands)


@pytest.mark.parametrize("name", DAEMONS)
def test_the_command_of_a_unit_is_its_daemon(name: str, tmp_path: Path) -> None:
    """With a settings file that is none, the daemon itself says so, and nothing is started."""
    file = tmp_path / "platform.toml"
    file.write_text("= nothing")
    kept = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "console", "daemon", name],
        env={**kept, "PYTHONPATH": str(ROOT), "FUNAI_CONFIG": str(file)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 78 and str(file) in done.stderr, done.stderr


def test_the_entrys_example_is_what_its_unit_can_follow(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = (ROOT / "packaging" / "systemd" / "funai-domains.service").read_text()
    options = example("entry")["FUNAI_ENTRY"].split()
    assert "EnvironmentFile=/etc/funai/entry.env\n" in unit and " $FUNAI_ENTRY\n" in unit
    told = gateway_rendering.parser("entry", None).parse_args(options)
    assert told.role == "entry" and told.domains is not None and told.output is not None
    for name in ("FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN", "DEPLOY_GATEWAY_TOKEN"):
        monkeypatch.setenv(name, example("entry")[name])
    assert gateway_following.main([*options, "--check", "true", "--reload", "true"]) == 78
    assert "is a placeholder" in capsys.readouterr().err


def test_both_commands_are_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert re.search(r"^bin/up ", text, re.M)
    assert re.search(r"^bin/test ", text, re.M)
    assert "docs/console.svg" in text
