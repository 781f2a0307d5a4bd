"""Redeployments under visitors of every kind, on a node of its own over a real engine: FUNAI_TEST_DOCKER_HOST.

    python -m bench.redeploys            # 200 redeployments; about ten minutes
    python -m bench.redeploys 20

1,000 short requests per second over kept-alive connections, 50 WebSockets, 10 event streams and 10 visitors whose
requests take 5 s, while every fifth deployment is of a broken image. None may fail or be reset, and a WebSocket or a
stream may only end by its close frame or its last chunk.
"""

import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, show
from tests.support.crowd import Size
from tests.support.redeploys import engine_url, redeploy, stage

SIZE = Size(rate=1000, connections=50, sockets=50, streams=10, slow=10, slow_seconds=5)


def main(count: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    with (
        tempfile.TemporaryDirectory(prefix="funai-rd-") as folder,
        stage(Path(folder), engine_url(), f"gw-bench-{secrets.token_hex(3)}") as (node, works, broken),
    ):
        began = time.perf_counter()
        crowd, refused = asyncio.run(redeploy(node, works, broken, count, SIZE))
        seconds = time.perf_counter() - began
    for failure in crowd.failures[:20]:
        print(failure)
    by_kind = {kind: sum(one.startswith(f"{kind}:") for one in crowd.failures) for kind in ("request", "slow")}
    broken_off = len(crowd.failures) - sum(by_kind.values())
    what = f"{count} redeployments, {refused} broken"
    rate = crowd.done["request"] / seconds
    return show(
        f"redeployments, {seconds:.0f} s",
        [
            Figure(f"failed of {crowd.done['request']} requests, {what}", by_kind["request"], "", "none", 0, 0),
            Figure(f"failed of {crowd.done['slow']} slow requests", by_kind["slow"], "", "none", 0, 0),
            Figure(
                f"broken off of {crowd.done['socket']} WebSockets, {crowd.done['stream']} streams", broken_off, "",
                "none", 0, 0,
            ),
            Figure("short requests meant to be sent", SIZE.rate, "/s", "sent", rate, 1.5),
        ],
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
