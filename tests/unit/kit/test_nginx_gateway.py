"""What is written into nginx's configuration, and what is refused because nginx would read something else."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemons.kit.nginx_gateway import NginxGateway, main, render
from daemons.kit.settings import Misconfigured

_GATEWAY = NginxGateway("127.0.0.1", 80, "127.0.0.1", 7001, Path("/var/cache/nginx/funai"), "a-token")


def test_it_names_the_node_and_the_token() -> None:
    text = render(replace(_GATEWAY, host="::1", token="tok/en+1="))
    assert "listen [::1]:80;" in text
    assert "http://127.0.0.1:7001/api/fun-ai/workspace/internal/nginx/port?$ws_asked" in text
    assert 'X-WS-Token "tok/en+1=";' in text


@pytest.mark.parametrize("token", ["", "a b", 'a"b', "a$b", "a\\b", "a;b", "a\nb", "a{b}"])
def test_a_token_that_nginx_would_misread(token: str) -> None:
    with pytest.raises(Misconfigured, match="token"):
        render(replace(_GATEWAY, token=token))


def test_other_values_that_nginx_would_misread() -> None:
    wrong = (
        replace(_GATEWAY, host="localhost"),
        replace(_GATEWAY, node="node; return 200"),
        replace(_GATEWAY, port=0),
        replace(_GATEWAY, cache_path=Path("/var/cache with spaces")),
        replace(_GATEWAY, cache_path=Path("relative")),
        replace(_GATEWAY, hold_seconds=0),
    )
    for gateway in wrong:
        with pytest.raises(Misconfigured):
            render(gateway)


def test_the_token_is_in_no_representation() -> None:
    assert "a-token" not in repr(_GATEWAY)


def test_an_operator_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNAI_WORKSPACE_NGINXAUTHTOKEN", "a-token")
    path = tmp_path / "funai.conf"
    path.write_text("former")
    arguments = ["--listen", "[::1]:8080", "--cache", "/var/cache/nginx/funai", "--output", str(path)]
    assert main(arguments) == 0
    assert path.read_text() == render(replace(_GATEWAY, host="::1", port=8080))
    assert (path.stat().st_mode & 0o777, [one.name for one in tmp_path.iterdir()]) == (0o600, ["funai.conf"])


@pytest.mark.parametrize("wrong", [["--listen", "everywhere:80"], ["--node", "127.0.0.1"], ["--cache", "relative"]])
def test_what_an_operator_gets_wrong_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    monkeypatch.setenv("FUNAI_WORKSPACE_NGINXAUTHTOKEN", "a-token")
    path = tmp_path / "funai.conf"
    assert main(["--cache", "/var/cache/nginx/funai", "--output", str(path), *wrong]) == 78
    assert not path.exists()
    assert "nginx_gateway: " in capsys.readouterr().err
