"""A user's container on a real engine: made, hardened, frozen, woken, stopped, removed; files outlive it."""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiodocker import Docker

from daemons.workspace.services.workspaces import Workspaces
from protocol.client.transport import Refused
from protocol.workspaces import ContainerStatus
from tests.support import real, workspace_node
from tests.support.eventually import eventually
from tests.support.workspace_node import Node, new_user

pytestmark = pytest.mark.real


@pytest.fixture
async def node(docker_url: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with workspace_node.node(docker_url, tmp_path) as found:
        yield found


async def _inside(node: Node, user_id: str, command: str) -> tuple[int, str]:
    """Exit status and output of a command in the user's container, as the user."""
    argv = ["docker", "-H", node.docker_url, "exec", f"ws-u-{user_id}", "sh", "-c", command]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


async def test_files_outlive_the_container_and_a_look_starts_nothing(node: Node) -> None:
    user = new_user()
    async with node.client(user) as client:
        assert (await client.status()).container_status is ContainerStatus.NOT_CREATED
        made = await client.ensure()
        assert made.container_status is ContainerStatus.RUNNING
        assert (made.container_name, made.container_port) == (f"ws-u-{user}", 5173)
        assert (await _inside(node, user, "echo kept > /workspace/apps/note"))[0] == 0
        assert (await client.remove()).container_status is ContainerStatus.NOT_CREATED
        assert (await client.status()).container_status is ContainerStatus.NOT_CREATED
        again = await client.ensure()
        assert again.host_port == made.host_port
        assert (await _inside(node, user, "cat /workspace/apps/note"))[1] == "kept\n"


async def test_the_container_is_hardened(node: Node) -> None:
    user = new_user()
    async with node.client(user) as client:
        await client.ensure()
    async with Docker(url=node.docker_url) as docker:
        document = await docker.containers.container(f"ws-u-{user}").show()
    host = document["HostConfig"]
    assert document["Config"]["User"] == "1000:1000"
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"], host["ReadonlyRootfs"]) == (["ALL"], None, False, True)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["PidsLimit"] == 512
    assert {one["HostIp"] for ports in host["PortBindings"].values() for one in ports} == {"127.0.0.1"}
    assert [name for name in document["NetworkSettings"]["Networks"]] == [f"ws-u-{user}"]
    for command in ("touch /x", "touch /run/funai/x", "mount -t tmpfs x /mnt", "mknod /workspace/d b 7 0"):
        status, said = await _inside(node, user, command)
        assert status != 0, (command, said)


async def test_a_full_disk_stops_the_user_alone_and_can_be_emptied(node: Node) -> None:
    user, other = new_user(), new_user()
    async with node.client(user) as client, node.client(other) as neighbour:
        await client.ensure()
        await neighbour.ensure()
        status, said = await _inside(node, user, "dd if=/dev/zero of=/workspace/apps/big bs=1M count=500")
        assert status != 0
        assert "No space left" in said
        assert (await _inside(node, other, "echo room > /workspace/apps/note"))[0] == 0
        await client.remove()
        await client.ensure()
        assert (await _inside(node, user, "rm /workspace/apps/big && echo room > /workspace/apps/note"))[0] == 0


async def test_the_image_comes_from_a_registry_that_wants_an_account(docker_url: str, tmp_path: Path) -> None:
    # The hash is that of "tests-only": bcrypt is not part of the standard library.
    known = "$2b$04$p6lQhBUUrC8ZGZo/dUWNEu1eKoHjljva.snFLCyd2FVYWqjEkyqe."
    with real.registry(tmp_path / "registry", f"robot:{known}\n") as host:
        reference = f"{host}/studio/image:{secrets.token_hex(4)}"
        await asyncio.to_thread(_pushed, docker_url, reference, tmp_path / "client")
        settings: dict[str, Any] = {
            "FUNAI_WORKSPACE_IMAGE": reference,
            "FUNAI_WORKSPACE_IMAGEPULLPOLICY": "IF_NOT_PRESENT",
            "REGISTRY_USERNAME": "robot",
            "REGISTRY_PASSWORD": "tests-only",
        }
        elsewhere = {**settings, "REGISTRY_URL": "https://registry.example"}
        async with (
            workspace_node.node(docker_url, tmp_path / "a", **elsewhere) as node,
            node.client(new_user()) as client,
        ):
            with pytest.raises(Refused, match="pull"):
                await client.ensure()
        async with (
            workspace_node.node(docker_url, tmp_path / "b", **settings, REGISTRY_URL=host) as node,
            node.client(new_user()) as client,
        ):
            assert (await client.ensure()).container_status == "RUNNING"


def _pushed(docker_url: str, reference: str, config: Path) -> None:
    """An image that the registry has, and the engine does not."""
    docker = ["docker", "--config", str(config), "-H", docker_url]
    login = [*docker, "login", "-u", "robot", "--password-stdin", reference.partition("/")[0]]
    subprocess.run(login, input=b"tests-only", check=True, capture_output=True)
    for argv in (["tag", "busybox:1.36", reference], ["push", reference], ["rmi", reference]):
        subprocess.run([*docker, *argv], check=True, capture_output=True)


async def test_it_sleeps_and_wakes_with_its_processes(docker_url: str, tmp_path: Path) -> None:
    user = new_user()
    async with workspace_node.node(docker_url, tmp_path) as node, node.client(user) as client:
        await client.ensure()
        await _inside(node, user, "(n=0; while :; do n=$((n+1)); echo $n > /tmp/n; sleep 0.05; done) >/dev/null 2>&1 &")
        await eventually(lambda: _counts(node, user, 0))
        workspaces: Workspaces = node.services.workspaces
        assert await workspaces.freeze(user)
        assert (await client.status()).container_status is ContainerStatus.FROZEN
        # A look woke nobody.
        assert (await client.status()).container_status is ContainerStatus.FROZEN
        assert (await client.ensure()).container_status is ContainerStatus.RUNNING
        first = int((await _inside(node, user, "cat /tmp/n"))[1])
        await eventually(lambda: _counts(node, user, first))
        assert await workspaces.freeze(user)
        assert await workspaces.stop(user)
        assert (await client.status()).container_status is ContainerStatus.EXITED
        await client.ensure()


async def test_the_next_process_of_the_node_takes_up_what_the_last_one_left(docker_url: str, tmp_path: Path) -> None:
    running, frozen = new_user(), new_user()
    async with workspace_node.node(docker_url, tmp_path, last=False) as node:
        async with node.client(running) as client:
            await client.ensure()
        async with node.client(frozen) as client:
            port = (await client.ensure()).host_port
        assert await node.services.workspaces.freeze(frozen)
    async with workspace_node.node(docker_url, tmp_path) as node:
        async with node.client(running) as client:
            assert (await client.status()).container_status is ContainerStatus.RUNNING
        async with node.client(frozen) as client:
            assert (await client.status()).container_status is ContainerStatus.FROZEN
            assert (await client.ensure()).host_port == port


async def test_an_older_epoch_is_refused(node: Node) -> None:
    user = new_user()
    async with node.client(user) as client:
        await client.transport.call("POST", "/api/fun-ai/workspace/container/ensure", dict, query=_who(user, 5))
        with pytest.raises(Refused, match="epoch 4 is over") as refusal:
            await client.transport.call("POST", "/api/fun-ai/workspace/container/ensure", dict, query=_who(user, 4))
        assert (refusal.value.status, refusal.value.reason) == (409, "stale_fence")


async def test_only_what_is_signed_is_heard(node: Node) -> None:
    user = new_user()
    path = f"{node.url}/api/fun-ai/workspace/container/ensure?userId={user}"
    async with httpx.AsyncClient() as client:
        assert (await client.post(path)).status_code == 401
        assert (await client.post(path, headers={"X-Forwarded-For": "127.0.0.1"})).status_code == 401
    async with node.client(user, secret="another-secret-entirely") as stranger:
        with pytest.raises(Refused, match="signature"):
            await stranger.ensure()
    assert not node.home(user).exists()


async def _counts(node: Node, user_id: str, above: int) -> bool:
    found = (await _inside(node, user_id, "cat /tmp/n"))[1].strip()
    return found.isdecimal() and int(found) > above


def _who(user_id: str, epoch: int) -> dict[str, str | int | None]:
    return {"userId": user_id, "epoch": epoch}
