"""What is written into nginx's configuration, and what is refused because nginx would read something else."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemons.kit.nginx_gateway import NginxGateway, render
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
