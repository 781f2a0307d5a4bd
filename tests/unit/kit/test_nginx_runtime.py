"""What is written into the configuration of a runtime node's nginx, and what is refused as it would be misread."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemons.kit.nginx_runtime import RuntimeNginx, render
from daemons.kit.settings import Misconfigured

_GATEWAY = RuntimeNginx("127.0.0.1", 80, Path("/var/lib/funai/gateway"))


def test_it_reads_the_links_of_its_folder() -> None:
    text = render(replace(_GATEWAY, admin=("::1", 7016)))
    assert "root /var/lib/funai/gateway/routes/$rt_app;" in text
    assert "syslog:server=unix:/var/lib/funai/gateway/access.sock," in text
    assert "listen [::1]:7016;" in text


def test_values_that_nginx_would_misread() -> None:
    wrong = (
        replace(_GATEWAY, host="localhost"),
        replace(_GATEWAY, admin=("127.0.0.1; return 200", 7006)),
        replace(_GATEWAY, port=0),
        replace(_GATEWAY, folder=Path("/var/lib/a folder")),
        replace(_GATEWAY, folder=Path("relative")),
        replace(_GATEWAY, max_per_app=0),
        replace(_GATEWAY, entrances=("10.0.0.1; deny all",)),
    )
    for gateway in wrong:
        with pytest.raises(Misconfigured):
            render(gateway)
