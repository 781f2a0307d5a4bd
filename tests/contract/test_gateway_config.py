"""The gateway's configuration refuses what HAProxy would misread."""

import subprocess
from pathlib import Path

import pytest

from daemons.kit.gateway import Gateway, install, render
from daemons.kit.settings import Misconfigured
from tests.support import real

_GOOD = Gateway("127.0.0.1", 8088, Path("/d/routes.map"), Path("/d/admin.sock"))


@pytest.mark.parametrize(
    ("gateway", "says"),
    [
        (Gateway("localhost", 8088, _GOOD.map_path, _GOOD.socket_path), "bind address"),
        (Gateway("127.0.0.1\n", 8088, _GOOD.map_path, _GOOD.socket_path), "bind address"),
        (Gateway("127.0.0.1", 0, _GOOD.map_path, _GOOD.socket_path), "port"),
        (Gateway("127.0.0.1", 8088, Path("routes.map"), _GOOD.socket_path), "route map"),
        (Gateway("127.0.0.1", 8088, Path("/a b/routes.map"), _GOOD.socket_path), "without spaces"),
        (Gateway("127.0.0.1", 8088, Path('/a"b/m'), _GOOD.socket_path), "route map"),
        (Gateway("127.0.0.1", 8088, _GOOD.map_path, Path(f"/{'x' * 100}/s")), "shorter path"),
        (Gateway("127.0.0.1", 8088, _GOOD.map_path, _GOOD.socket_path, max_connections=0), "max_connections"),
    ],
)
def test_what_would_be_misread_is_refused(gateway: Gateway, says: str) -> None:
    with pytest.raises(Misconfigured, match=says):
        render(gateway)


def test_rendering_is_a_pure_function() -> None:
    assert render(_GOOD) == render(_GOOD)
    assert "bind [::1]:80\n" in render(Gateway("::1", 80, _GOOD.map_path, _GOOD.socket_path))


@pytest.mark.real
def test_haproxy_accepts_it_and_routes_survive_a_second_install(tmp_path: Path) -> None:
    haproxy = real.program("haproxy", "haproxy")
    gateway = Gateway("127.0.0.1", real.free_port(), tmp_path / "g" / "routes.map", tmp_path / "g" / "admin.sock")
    config = tmp_path / "g" / "haproxy.cfg"
    install(gateway, config)
    gateway.map_path.write_text("1 127.0.0.1:20001\n")
    install(gateway, config)
    assert gateway.map_path.read_text() == "1 127.0.0.1:20001\n"
    checked = subprocess.run([haproxy, "-c", "-f", str(config)], capture_output=True, text=True, check=False)
    assert (checked.returncode, "warning" in checked.stderr.lower()) == (0, False), checked.stderr
