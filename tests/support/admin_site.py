"""The operators' page as it is served: a real API before a real control plane, both with nodes that report."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from daemons.api.adapters.deploy_operations import HttpDeployOperations
from daemons.api.composition.accounts import AccountParts
from daemons.deploy.adapters.store import open_store
from protocol import headers
from protocol.accounts import Role
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN, WORKSPACE_NODE_TOKEN
from protocol.jobs import ClaimedJob, JobStatus, ReportJob
from tests.http.deploy.plane import TOKENS, Plane, serving
from tests.support.served_api import ADMIN, NODE_TOKEN, served_api

PASSWORD: Final = "correct horse battery staple"
DIGEST: Final = "sha256:" + "a1" * 32
GIB: Final = 2**30
#: What a browser would run if it were taken for markup.
MARKUP: Final = "<img src=x onerror=window.hacked=1>"
_ACCOUNTS: Final = AccountParts(["jwt-secret-of-the-tests-0123456789"])
_DEPLOY: Final = (
    "INSERT INTO fun_ai_deploy_runtime_node (name, enabled, weight, create_time, update_time) VALUES (?, 1, 1, 1, 1)"
)
_WORKSPACE: Final = (
    "INSERT INTO fun_ai_workspace_node (name, nginx_base_url, api_base_url, enabled, weight, create_time, update_time) "
    "VALUES (?, 'http://127.0.0.1:9', 'http://127.0.0.1:9', 0, 1, 1, 1)"
)


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Site:
    """`logged` has a line for each request that the API got, with address and referrer."""

    url: str
    plane: Plane
    transport: Transport
    logged: Sequence[str]
    api: httpx.AsyncClient
    beating: dict[str, Mapping[str, object]] = field(default_factory=dict)

    async def beat(self) -> None:
        """All runtime nodes report once."""
        for name, figures in self.beating.items():
            await self.plane.beat(name, **figures)

    async def keep_beating(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.beat()
            await self.hear("ws-1", containersRunning=3, containersFrozen=1, diskFreeBytes=60 * GIB)
            await self.hear("ws-2", containersRunning=1, diskFreeBytes=40 * GIB)
            await asyncio.sleep(2)

    async def hear(self, name: str, **figures: object) -> None:
        """A workspace node reports."""
        body = {"nodeName": name, "nginxBaseUrl": f"http://{name}:80", "apiBaseUrl": f"http://{name}:7001"}
        load = {"diskTotalBytes": 200 * GIB, "containersStopped": 2, "version": "0.1.0", "quota": "soft", **figures}
        path = "/api/fun-ai/admin/workspace-nodes/heartbeat"
        answer = await self.api.post(path, json={**body, **load}, headers={WORKSPACE_NODE_TOKEN: NODE_TOKEN})
        assert answer.status_code == 200, answer.text

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """What an operator with the admin token is answered."""
        return await self.api.request(method, f"/api/fun-ai/admin{path}", headers={ADMIN_TOKEN: ADMIN}, **more)

    async def deployed(self, app_id: str, **payload: object) -> None:
        """An app that serves."""
        await self.plane.create(app_id, repoSshUrl="ssh://git@127.0.0.1:2222/funai/app.git", **payload)
        job = await self.plane.claim(wait_seconds=10)
        assert job is not None
        await self.report(job)

    async def report(self, job: ClaimedJob, status: JobStatus = JobStatus.SUCCEEDED, words: str | None = None) -> None:
        """The runner ends a job."""
        done: dict[str, object] = {"runnerId": "r1", "leaseToken": job.lease_token, "status": status}
        if status is JobStatus.SUCCEEDED:
            done |= {"image": f"127.0.0.1:5000/funaistudio/u1-app{job.app_id}@{DIGEST}", "imageDigest": DIGEST}
        await self.plane.runners.report(job.id, ReportJob.model_validate({**done, "errorMessage": words}))


@asynccontextmanager
async def admin_site(folder: Path) -> AsyncIterator[Site]:
    """Accounts `operator`, `admin` and `user` have the password; a node of each kind has markup for a name."""
    lines, log = _Lines(), logging.Logger("access log of the tests", logging.INFO)
    log.addHandler(lines)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(f"sqlite:///{folder}/deploy.db"))
        await asyncio.to_thread(_insert, folder / "deploy.db", _DEPLOY)
        plane = await stack.enter_async_context(serving(store))
        proof = {headers.DEPLOY_SECRET: TOKENS["api"], ADMIN_TOKEN: TOKENS["admin"]}
        transport = await stack.enter_async_context(Transport(plane.url, proof))
        url = await stack.enter_async_context(
            served_api(
                folder, "", {1: "token-of-user-1-0123"}, operations=HttpDeployOperations(transport), accounts=_ACCOUNTS,
                access_log=log,
            )
        )  # fmt: skip
        await asyncio.to_thread(_insert, folder / "api.db", _WORKSPACE)
        api = await stack.enter_async_context(
            httpx.AsyncClient(base_url=url, trust_env=False, verify=False, timeout=60)
        )
        site = Site(url, plane, transport, lines.lines, api)
        for role in Role:
            order = {"userName": role.value, "password": PASSWORD, "role": role.value}
            assert (await site.ask("POST", "/users/create", json=order)).status_code == 200
        yield site


def _insert(path: Path, statement: str) -> None:
    with sqlite3.connect(path, timeout=30) as database:
        database.execute(statement, (MARKUP,))
    database.close()
