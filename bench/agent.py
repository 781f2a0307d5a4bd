"""What a runtime node's agent costs, on a node of its own over a real engine: FUNAI_TEST_DOCKER_HOST.

    python -m bench.agent            # 200 apps; about five minutes
    python -m bench.agent 20

- a deployment of an image that the node has, and the way back to the one before, from the call to the first 200 through
  the gateway, against `docker run` of the same image up to its first 200, taken in turn;
- the agent's resident memory with so many apps, and its processor time while nothing changes.
"""

import argparse
import asyncio
import secrets
import tempfile
import time
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import aiohttp

from bench.figures import Figure, median, show
from bench.rollout import Engine, first_answer
from bench.servers import Server
from tests.support import real, runtime_node
from tests.support.redeploys import engine_url
from tests.support.runtime_node import RuntimeNode, docker

ROUNDS = 9
IDLE_SECONDS = 60.0
DEPLOY_MOST, ROLLBACK_MOST = 1.3, 1.2
RESIDENT_MB, IDLE_PCT = 100.0, 2.0


def main(apps: int) -> int:
    """Measure and print; exit code 0 if every limit held."""
    engine, name = engine_url(), f"agent-bench-{secrets.token_hex(3)}"
    with tempfile.TemporaryDirectory(prefix="funai-ag-") as folder, stage(Path(folder), engine, name) as node:
        run, deployed, back = asyncio.run(in_turn(node, Engine(engine), name))
        fill(node, f"{name}/u7-appfull:aaaaaaaaaaaa-1", apps)
        agent = Server("agent", node.agent_url, node.agent_pid)
        resident, idle = agent.resident_mb(), at_rest(agent)
    peer = ("docker run to first 200", median(run))
    return show(
        f"a node with {apps} apps",
        [
            Figure("deployment of an image that is there, median", median(deployed), "ms", *peer, DEPLOY_MOST),
            Figure("way back to the image before, median", median(back), "ms", *peer, ROLLBACK_MOST),
            Figure(f"resident, {apps} apps", resident, "MB", "limit", RESIDENT_MB, 1.0),
            Figure(f"processor time at rest, {apps} apps", idle, "% of a core", "limit", IDLE_PCT, 1.0),
        ],
    )  # fmt: skip


@contextmanager
def stage(folder: Path, engine: str, name: str) -> Iterator[RuntimeNode]:
    """A node, and images of two apps: `u7-appturn` in two versions and `u7-appfull`."""
    images = [f"{name}/u7-appturn:{letter * 12}-1" for letter in "ab"] + [f"{name}/u7-appfull:aaaaaaaaaaaa-1"]
    builder = Engine(engine)
    for reference in images:
        builder.build(reference, reference.rpartition(":")[2])
    try:
        with runtime_node.deploy() as plane:
            settings = {"DEPLOY_BASE_URL": plane.url, "DEPLOY_NODE_TOKEN": runtime_node.NODE_TOKEN}
            with runtime_node.node(folder, engine, name, **settings) as node:
                yield node
    finally:
        for reference in images:
            docker(engine, "rmi", "-f", reference)


async def in_turn(node: RuntimeNode, engine: Engine, name: str) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of `docker run`, of first deployments and of ways back."""
    new, old = (f"{name}/u7-appturn:{letter * 12}-1" for letter in "ab")
    words = {reference: reference.rpartition(":")[2] for reference in (new, old)}
    run, deployed, back = list[float](), list[float](), list[float]()
    async with aiohttp.ClientSession() as session:

        async def by_hand() -> str:
            container, port = await asyncio.to_thread(engine.run, new)
            await first_answer(session, f"http://127.0.0.1:{port}/", words[new])
            return container

        async def by_agent(app_id: str, reference: str, fence: int) -> str:
            answer = asyncio.to_thread(node.deploy, app_id, reference, fence)
            seen = first_answer(session, f"{node.gateway_url}/runtime/{app_id}/", words[reference])
            result, _ = await asyncio.gather(answer, seen)
            if result.status_code != 200:
                raise SystemExit(f"a deployment failed: {result.text}")
            return app_id

        for number in range(ROUNDS):
            app_id = f"turn{number}"
            container = await timed(run, by_hand())
            await asyncio.to_thread(engine.remove, container)
            await by_agent(app_id, old, 1)
            for times, reference, fence in ((deployed, new, 2), (back, old, 3)):
                # Not while the engine is still busy with the one before.
                await asyncio.to_thread(real.wait_until, partial(settled, node, app_id), "the end of the one before")
                await timed(times, by_agent(app_id, reference, fence))
    return run, deployed, back


async def timed(times: list[float], work: Awaitable[str]) -> str:
    """Append the milliseconds that `work` took; its result."""
    began = time.perf_counter()
    result = await work
    times.append((time.perf_counter() - began) * 1000)
    return result


def settled(node: RuntimeNode, app_id: str) -> bool:
    """Whether the app has one container."""
    return len(node.containers(app_id)) == 1


def fill(node: RuntimeNode, image: str, apps: int) -> None:
    """So many apps of one image."""

    def one(number: int) -> None:
        answer = node.deploy(f"full{number}", image, 1)
        if answer.status_code != 200:
            raise SystemExit(f"app {number} was not deployed: {answer.text}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(apps)))


def at_rest(agent: Server) -> float:
    """Processor time in percent of a core while nothing changes."""
    time.sleep(15)
    before, began = agent.cpu_seconds(), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    return 100 * (agent.cpu_seconds() - before) / (time.perf_counter() - began)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", type=int, nargs="?", default=200)
    raise SystemExit(main(parser.parse_args().apps))
