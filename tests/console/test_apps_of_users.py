"""Apps and users on a real control plane with a real API entry: what the twin stands for holds there as well."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from console.app import ConsoleApp
from console.screens.deploy_form import OwnersDeployForm
from protocol.base import Envelope
from protocol.client.api import ApiAdminClient, ApiClient, bearer
from protocol.client.operator import OperatorClient
from protocol.client.transport import Transport
from protocol.headers import ADMIN_TOKEN
from protocol.jobs import ClaimedJob, ClaimJob, JobStatus, ReportJob
from protocol.nodes import NodeHeartbeat
from protocol.workspace_upkeep import AppCleared
from tests.console.api_server import USER_7, api_served
from tests.console.plane_server import TOKEN, Served, served
from tests.console.test_flows import painted, until
from tests.console.test_one_shot import ROOT, clean, funai
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN, hear

PASSWORD = "correct horse battery staple"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane, api_served(tmp_path / "api", plane.way_of_api()) as api:
        asyncio.run(prepared(plane, api))
        yield replace(plane, api_url=api)


async def prepared(plane: Served, api: str) -> None:
    """A node, and two apps of user 7: 20001 and 20002."""
    node = plane.node()
    async with node.transport, Transport(api, bearer(USER_7)) as transport:
        await node.heartbeat(
            NodeHeartbeat(node_name="n1", agent_base_url="http://127.0.0.1:9", gateway_base_url="http://127.0.0.1:9")
        )
        for _ in range(2):
            await ApiClient(transport).create_app()


async def built(plane: Served) -> ClaimedJob:
    """What waits is built and deployed."""
    runner = plane.runner()
    async with runner.transport:
        job = await runner.claim(ClaimJob(runner_id="r"))
        assert job is not None
        image, commit = f"funaistudio/u7-app{job.app_id}:{'a' * 12}-1", "a" * 40
        done = ReportJob(
            runner_id="r", lease_token=job.lease_token, status=JobStatus.SUCCEEDED, image=image, commit=commit
        )
        await runner.report(job.id, done)
        return job


@pytest.fixture
def client(plane: Served) -> OperatorClient:
    return OperatorClient(
        Transport(plane.url, {ADMIN_TOKEN: TOKEN}), lambda: Transport(plane.api_url, {ADMIN_TOKEN: ADMIN})
    )


@pytest.fixture
def console(client: OperatorClient) -> ConsoleApp:
    return ConsoleApp(client, "test")


async def test_an_app_is_deployed_from_its_row_and_followed(
    plane: Served, client: OperatorClient, console: ConsoleApp
) -> None:
    async with client.transport, console.run_test(size=(160, 40)) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: painted(console).count("NEVER RAN") == 2)
        await pilot.press("n")
        assert isinstance(console.screen, OwnersDeployForm)
        await pilot.press(*"v2", "enter")
        await until(pilot, lambda: console.main.page.place.view == "job")
        job = await built(plane)
        payload = job.payload
        assert (payload.user_id, payload.app_id, payload.git_ref, payload.container_port) == ("7", "20001", "v2", 3000)
        assert payload.repo_ssh_url == "ssh://git@git.example.org:2222/funai/u7-app20001.git"
        await pilot.press("5")
        await until(pilot, lambda: "3 ready" in painted(console) and "1 aaaaaaaa" in painted(console))


def test_apps_in_one_command(plane: Served) -> None:
    def said(*words: str) -> "subprocess.CompletedProcess[bytes]":
        return funai(plane.environ, *words)

    made = said("apps", "deploy", "20001", "--ref", "v1", "-o", "json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["payload"]["gitRef"] == "v1"
    busy = said("apps", "deploy", "20001")
    assert busy.returncode == 4 and b"busy" in busy.stderr
    asyncio.run(built(plane))
    again = said("apps", "deploy", "20001", "-o", "json")
    assert json.loads(again.stdout)["payload"]["gitRef"] == "v1", "what is not said is as it was"
    asyncio.run(built(plane))
    first, second = json.loads(said("apps", "-o", "json").stdout)
    assert (first["appId"], first["status"], first["release"], first["userId"]) == ("20001", 3, 2, "7")
    assert (second["appId"], second["status"], second["release"]) == ("20002", 0, None)
    assert json.loads(said("apps", "ls", "--user", "8", "-o", "json").stdout) == []
    table = said("apps", "ls", "--filter", "status:ready").stdout.decode().splitlines()
    assert len(table) == 2 and "2 aaaaaaaa" in table[1]
    assert [each["number"] for each in json.loads(said("apps", "releases", "20001", "-o", "json").stdout)] == [2, 1]
    gone = said("apps", "rollback", "20001", "--to", "9")
    assert gone.returncode == 4 and b"was not rolled back" in gone.stderr
    assert said("apps", "deploy", "29999").returncode == 4
    assert said("apps", "deploy", "20001", "--ref", "a", "--image", "b").returncode == 2
    (seven,) = json.loads(said("users", "-o", "json").stdout)
    assert (seven["userId"], seven["owned"], seven["live"], seven["node"]) == ("7", 2, 1, "ws-1")


def test_an_app_is_shown_and_deleted_in_one_command(plane: Served) -> None:
    def said(*words: str) -> "subprocess.CompletedProcess[bytes]":
        return funai(plane.environ, *words)

    shown = said("apps", "show", "20001")
    assert shown.returncode == 0, shown.stderr
    text = shown.stdout.decode()
    assert "20001 Untitled app 1 of user 7" in text and "NEVER RAN" in text
    assert "ssh://git@git.example.org:2222/funai/u7-app20001.git" in text and "are not deployed" in text
    detail = json.loads(said("apps", "show", "20001", "-o", "json").stdout)
    assert (detail["userId"], detail["app"]["appName"], detail["domains"]) == (7, "Untitled app 1", [])
    unasked = said("apps", "delete", "20001")
    assert unasked.returncode == 1 and b"app 20001 Untitled app 1 of user 7? This cannot be undone" in unasked.stderr
    assert json.loads(said("apps", "show", "20001", "-o", "json").stdout)["app"] is not None
    # Its owner's node is not there: what is left and why is told, and without -f nobody waits for it.
    begun = said("apps", "delete", "20001", "--yes")
    assert begun.returncode == 0, begun.stderr
    assert b"app 20001 Untitled app 1 of user 7: " in begun.stdout and b"funai apps show 20001" in begun.stdout
    again = json.loads(said("apps", "delete", "20001", "-o", "json").stdout)
    assert again["complete"] is False and "workspace" in again["left"], "what is gone already is not asked about"
    told = said("apps", "show", "20001").stdout.decode()
    assert "… workspace" in told and "… repository" in told and "tried" in told
    assert said("apps", "delete", "29999", "--yes").returncode == 4
    assert said("apps", "show", "29999").returncode == 4


def test_a_deletion_is_followed_to_its_end(plane: Served) -> None:
    argv = [sys.executable, "-m", "console", "apps", "delete", "20002", "--yes", "-f", "-o", "json"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean(plane.environ), cwd=ROOT, text=True
    ) as command:
        assert command.stderr is not None
        first = command.stderr.readline()
        assert first.startswith("funai: left: ") and "workspace" in first
        asyncio.run(node_back(plane))
        out, _ = command.communicate(timeout=120)
        assert command.returncode == 0
        assert json.loads(out)["complete"] is True


async def node_back(plane: Served) -> None:
    """A node in the place of the one that is away clears what it is told to, until nothing is left of anything."""

    async def cleared(request: web.Request) -> web.Response:
        done = AppCleared(user_id=request.query["userId"], app_id=request.query["appId"], complete=True)
        return web.json_response(Envelope[AppCleared](code=200, message="", data=done).to_data())

    node = web.Application()
    node.add_routes([web.post("/{path:.*}", cleared)])
    runner = web.AppRunner(node)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await hear(plane.api_url, f"http://127.0.0.1:{runner.addresses[0][1]}")
        async with Transport(plane.api_url, {ADMIN_TOKEN: ADMIN}) as transport:

            async def over() -> bool:
                return not await ApiAdminClient(transport).app_deletions()

            await eventually(over)
    finally:
        await runner.cleanup()


def test_accounts_in_one_command(plane: Served) -> None:
    def said(*words: str, given: str = "", **environ: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "console", "users", *words]
        environ = clean({**plane.environ, **environ})
        return subprocess.run(
            argv, input=given, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=120, check=False
        )

    made = said("add", "Alice", "--role", "operator", "-o", "json", given=f"{PASSWORD}\n")
    assert made.returncode == 0, made.stderr
    alice = json.loads(made.stdout)
    assert (alice["userName"], alice["role"], alice["enabled"]) == ("alice", "operator", True)
    weak = said("add", "bob", given="short\n")
    assert weak.returncode == 4 and "12 to 256 characters" in weak.stderr and "short" not in weak.stderr
    assert said("add", "bob").returncode == 2
    assert said("add", "b ob", given=PASSWORD).returncode == 2
    assert said("role", "alice", "admin", "-o", "json").returncode == 0
    assert (
        said("password", "alice", given=f"{PASSWORD} again\n").stdout
        == f"user {alice['userId']} (alice) has another password\n"
    )
    assert said("disable", "alice").returncode == 0
    assert said("enable", "nobody").returncode == 1
    row = next(each for each in json.loads(said("ls", "-o", "json").stdout) if each["userName"] == "alice")
    assert (row["role"], row["enabled"], row["lastLoginTime"]) == ("admin", False, None)
    assert said("ls", "-o", "csv").stdout.splitlines()[0].startswith("user,name,role,state,apps,live,node,login,")
    without = said("disable", "alice", API_ADMIN_TOKEN="")
    assert without.returncode == 2 and "API_ADMIN_TOKEN" in without.stderr
