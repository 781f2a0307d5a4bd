"""A real API entry on a free port, with a workspace node that does not answer and one user who lives there; beside a
real control plane, or without one."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx

from daemons.api.adapters.deploy_plane import HttpDeployPlane
from protocol.client.deploy import JobsClient
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN
from tests.support.served_api import ADMIN, hear, served_api

_NODES = "/api/fun-ai/admin/workspace-nodes"
USER_7 = "token-of-user-7-0123"


@contextmanager
def api_served(folder: Path, deploy: Transport | None = None) -> Iterator[str]:
    """Its address; it runs in a thread of its own, so that blocking tests can drive it. `deploy` is the API's own way
    to the control plane."""
    folder.mkdir()
    loop, stop, ready, started = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), list[str]()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            plane = HttpDeployPlane(JobsClient(await stack.enter_async_context(deploy))) if deploy else None
            api = served_api(folder, "secret-of-the-tests-1234567890", {7: USER_7}, plane=plane)
            url = await stack.enter_async_context(api)
            await hear(url, "http://127.0.0.1:9", "ws-1")
            async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
                order, proof = {"userId": 7, "targetNodeId": 1}, {ADMIN_TOKEN: ADMIN}
                (await client.post(f"{_NODES}/reassign", json=order, headers=proof)).raise_for_status()
            started.append(url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="api", daemon=True)
    thread.start()
    if not ready.wait(90):
        raise RuntimeError("the API did not start")
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
