"""Redeploying under visitors of every kind: none of them notices, whatever is deployed."""

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.support.crowd import Size
from tests.support.redeploys import redeploy, stage

pytestmark = [pytest.mark.real, pytest.mark.slow]
_SIZE = Size(rate=200, connections=10, sockets=10, streams=4, slow=3, slow_seconds=3)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("driver", ["haproxy", "nginx"])
def test_no_visitor_notices_redeployments(
    driver: str, tmp_path_factory: pytest.TempPathFactory, docker_url: str
) -> None:
    """Short and slow requests, WebSockets and streams; every fifth image is broken. `bench.redeploys` is longer."""
    folder: Path = tmp_path_factory.mktemp("rd")
    with stage(folder, docker_url, f"gw-redeploy-{secrets.token_hex(3)}", driver) as (node, works, broken):
        crowd, refused = asyncio.run(redeploy(node, works, broken, 7, _SIZE))
    assert crowd.failures == []
    assert refused == 1
    assert crowd.names.keys() == {"a", "b"}
    assert crowd.done["slow"] > 0
    # Each was ended by a close frame, or by the end of its body, and came back.
    assert crowd.done["socket"] >= _SIZE.sockets
    assert crowd.done["stream"] >= _SIZE.streams
