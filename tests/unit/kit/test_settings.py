"""Settings from arguments, the environment and a file."""

from ipaddress import ip_network
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import AliasChoices, Field, SecretStr

from daemons.kit.settings import (
    Misconfigured,
    Networks,
    OptionalToken,
    OptionalTokens,
    Settings,
    Tokens,
    Words,
    load,
    revealed,
)

ONE, TWO = "first-secret-of-this-test", "second-secret-of-this-test"


class Example(Settings):
    """Settings of a daemon that there is not."""

    service: ClassVar[str] = "example"

    tokens: Tokens = Field(alias="EXAMPLE_TOKEN")
    maybe: OptionalTokens = Field((), alias="EXAMPLE_MAYBE_TOKEN")
    words: Words = Field((), alias="EXAMPLE_WORDS")
    networks: Networks = Field((), alias="EXAMPLE_NETWORKS")
    port: int = Field(1, alias="EXAMPLE_PORT")
    client: OptionalToken = Field(SecretStr(""), validation_alias=AliasChoices("EXAMPLE_CLIENT", "EXAMPLE_OLD_CLIENT"))


def test_two_tokens_are_live_while_they_rotate() -> None:
    settings = load(Example, EXAMPLE_TOKEN=f"{ONE}, {TWO}")
    assert revealed(settings.tokens) == (ONE, TWO) and settings.secret_values() == (ONE, TWO)
    assert ONE not in repr(settings)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " , ",
        "CHANGE_ME",
        "CHANGE_ME_PLEASE_AT_ONCE",
        "change-me-at-once-please",
        "<ChangeMe: a secret>",
        "short",
        f"{ONE},short",
    ],
)
def test_a_bad_token_is_refused_by_name_without_its_value(value: str) -> None:
    with pytest.raises(Misconfigured, match="EXAMPLE_TOKEN") as caught:
        load(Example, EXAMPLE_TOKEN=value)
    assert "short" not in str(caught.value)


def test_a_missing_token_says_what_to_set() -> None:
    with pytest.raises(Misconfigured, match="EXAMPLE_TOKEN is not set; set it"):
        load(Example)


def test_an_optional_token_may_be_empty_but_not_a_placeholder() -> None:
    settings = load(Example, EXAMPLE_TOKEN=ONE, EXAMPLE_MAYBE_TOKEN="")
    assert settings.maybe == ()
    with pytest.raises(Misconfigured, match="EXAMPLE_MAYBE_TOKEN"):
        settings.require(EXAMPLE_MAYBE_TOKEN=settings.maybe)
    with pytest.raises(Misconfigured, match="EXAMPLE_MAYBE_TOKEN"):
        load(Example, EXAMPLE_TOKEN=ONE, EXAMPLE_MAYBE_TOKEN="CHANGE_ME")


def test_two_roles_with_one_token_are_named() -> None:
    settings = load(Example, EXAMPLE_TOKEN=ONE, EXAMPLE_MAYBE_TOKEN=ONE)
    with pytest.raises(Misconfigured, match="EXAMPLE_TOKEN and EXAMPLE_MAYBE_TOKEN"):
        settings.distinct(EXAMPLE_TOKEN=settings.tokens, EXAMPLE_MAYBE_TOKEN=settings.maybe)


def test_networks_are_addresses_and_ranges() -> None:
    settings = load(Example, EXAMPLE_TOKEN=ONE, EXAMPLE_NETWORKS="10.0.0.1, fd00::/8")
    assert settings.networks == (ip_network("10.0.0.1/32"), ip_network("fd00::/8"))


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text(f'[example]\ntoken = ["{ONE}", "{TWO}"]\nport = 7\nwords = ["a", "b"]\n[other]\nport = 9\n')
    monkeypatch.setenv("FUNAI_CONFIG", str(file))
    monkeypatch.setenv("EXAMPLE_PORT", "8")
    settings = load(Example)
    assert (revealed(settings.tokens), settings.port, settings.words) == ((ONE, TWO), 8, ("a", "b"))


def test_a_key_of_two_names_is_read_from_the_file_under_either(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    monkeypatch.setenv("FUNAI_CONFIG", str(file))
    for key in ("client", "old-client"):
        file.write_text(f'[example]\ntoken = "{ONE}"\n{key} = "{TWO}"\n')
        assert load(Example).client.get_secret_value() == TWO


def test_a_clients_token_may_be_empty_but_not_a_placeholder() -> None:
    assert not load(Example, EXAMPLE_TOKEN=ONE).client.get_secret_value()
    with pytest.raises(Misconfigured, match="EXAMPLE_CLIENT"):
        load(Example, EXAMPLE_TOKEN=ONE, EXAMPLE_CLIENT="CHANGE_ME")


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FUNAI_CONFIG", str(tmp_path / "missing.toml"))
    with pytest.raises(Misconfigured, match=r"missing\.toml"):
        load(Example)
