"""What operators run in, copy from and do with a workspace: a real node with real containers behind a real API."""

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx
import pytest

from console.cli.outcome import Failure
from console.cli.workspace_copy import copy
from console.cli.workspace_exec import shown
from console.cli.workspace_unpack import unpacking
from protocol.client.api import bearer
from protocol.client.transport import Refused, Transport
from protocol.client.workspace_admin import WorkspaceAdminClient
from protocol.headers import ADMIN_TOKEN
from protocol.shell import ShellEnd, ShellEndReason, ShellResize
from protocol.workspace_operators import ExecEof, ExecStart
from protocol.workspaces import ContainerStatus
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN, hear, served_api
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
TOKEN = "token-of-the-user-012345"
PREFIX = "/api/fun-ai/workspace"


@dataclass
class Operator:
    """Somebody with the admin token, and a user with a workspace."""

    url: str
    node: Node
    user_id: str
    calls: WorkspaceAdminClient
    person: httpx.AsyncClient

    async def run(self, *command: str, given: bytes = b"") -> tuple[ShellEnd | None, bytes, bytes]:
        """A command with this input: how it ended, its output and its errors."""
        written = {1: bytearray(), 2: bytearray()}

        async def take(stream: int, data: bytes) -> None:
            written[stream].extend(data)

        async with self.calls.workspace_exec(self.user_id) as line:
            await line.send(ExecStart(command=command, terminal=False).to_json().decode())
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                ended = group.create_task(shown(line, take))
                for begin in range(0, len(given), 100_000):
                    await line.send(given[begin : begin + 100_000])
                await line.send(ExecEof().to_json().decode())
            return ended.result(), bytes(written[1]), bytes(written[2])


@pytest.fixture
async def operator(docker_url: str, tmp_path: Path) -> AsyncIterator[Operator]:
    user_id = new_user()
    async with (
        workspace_node.node(docker_url, tmp_path) as node,
        served_api(tmp_path, SECRET, {int(user_id): TOKEN}) as url,
        httpx.AsyncClient(base_url=url, headers=bearer(TOKEN), timeout=60, trust_env=False, verify=False) as person,
        Transport(url, {ADMIN_TOKEN: ADMIN}) as transport,
    ):
        await hear(url, node.url)
        (await person.post(f"{PREFIX}/container/ensure")).raise_for_status()
        yield Operator(url, node, user_id, WorkspaceAdminClient(transport), person)


async def test_a_command_has_streams_of_its_own_and_its_exit_code(operator: Operator) -> None:
    end, output, errors = await operator.run("sh", "-c", "id -u; pwd; echo oh >&2; exit 7")
    assert end is not None and (end.reason, end.exit_code) == (ShellEndReason.EXITED, 7)
    assert output == b"1000\n/workspace\n" and errors == b"oh\n"
    big = bytes(range(256)) * 12_000
    end, output, _ = await operator.run("sha256sum", given=big)
    assert output.split()[0].decode() == hashlib.sha256(big).hexdigest()
    end, output, _ = await operator.run("cat", given=b"")
    assert end is not None and (end.exit_code, output) == (0, b"")
    end, _, _ = await operator.run("sh", "-c", "sleep 600 & exit 3")
    assert end is not None and end.exit_code == 3


async def test_what_ran_ends_with_who_asked_for_it(operator: Operator) -> None:
    home = operator.node.home(operator.user_id)
    async with operator.calls.workspace_exec(operator.user_id) as line:
        loop = "trap '' HUP; setsid sh -c 'while :; do date >/workspace/tick; sleep 0.1; done' & wait"
        await line.send(ExecStart(command=("sh", "-c", loop)).to_json().decode())
        await eventually(lambda: asyncio.to_thread((home / "tick").exists))
    processes = ("sh", "-c", "ps -o args | grep -c [t]ick")

    async def ended() -> bool:
        return (await operator.run(*processes))[1].strip() == b"0"

    await eventually(ended)


async def test_a_terminal_has_a_size_that_changes(operator: Operator) -> None:
    async with operator.calls.workspace_exec(operator.user_id) as line:
        await line.send(ExecStart(cols=101, rows=33).to_json().decode())
        await line.send(b"stty size\n")
        written = b""

        async def until(text: bytes) -> None:
            nonlocal written
            async with asyncio.timeout(60):
                while text not in written:
                    frame = await line.receive()
                    assert frame is not None
                    written += frame if isinstance(frame, bytes) else b""

        await until(b"33 101")
        await line.send(ShellResize(cols=77, rows=20).to_json().decode())
        await line.send(b"stty size\n")
        await until(b"20 77")
        await line.send(b"exit 5\n")
        async with asyncio.timeout(60):
            while not isinstance(frame := await line.receive(), str):
                assert frame is not None
        assert json.loads(frame)["exitCode"] == 5


async def test_files_and_folders_go_there_and_come_back(operator: Operator, tmp_path: Path) -> None:
    source = tmp_path / "mine"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "big").write_bytes(bytes(range(256)) * 8000)
    (source / "link").symlink_to("/etc/passwd")
    user = operator.user_id
    sent = await copy(operator.calls, str(source), f"{user}:apps/there")
    assert (sent.files, sent.bytes) == (1, 2_048_000)
    there = operator.node.home(user) / "apps" / "there"
    assert sorted(each.name for each in there.rglob("*")) == ["big", "deep"] and there.stat().st_uid == 1000
    await operator.run("ln", "-s", "/etc/passwd", "apps/there/secret")
    (tmp_path / "back").mkdir()
    back = await copy(operator.calls, f"{user}:apps/there", str(tmp_path / "back"))
    assert (back.files, back.bytes) == (1, 2_048_000)
    got = tmp_path / "back" / "there"
    assert (got / "deep" / "big").read_bytes() == (source / "deep" / "big").read_bytes()
    assert not (got / "secret").is_symlink() and not (got / "secret").exists()
    await copy(operator.calls, f"{user}:apps/there/deep/big", str(tmp_path / "one"))
    assert (tmp_path / "one").stat().st_size == 2_048_000
    with pytest.raises(Failure, match="could not do it"):
        await copy(operator.calls, f"{user}:nothing", str(tmp_path))
    with pytest.raises(Failure, match="could not do it"):
        await copy(operator.calls, str(tmp_path / "one"), f"{user}:no/such/folder")


async def test_a_workspace_that_sends_what_it_likes_writes_nothing_elsewhere(
    operator: Operator, tmp_path: Path
) -> None:
    """The user's own `tar` answers with an archive that climbs out."""
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as archive:
        entry = tarfile.TarInfo("x/../../evil")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"evil"))
    end, _, _ = await operator.run("sh", "-c", "cat >/workspace/evil.tar", given=evil.getvalue())
    assert end is not None and end.exit_code == 0
    (tmp_path / "in").mkdir()
    # What the operator's command runs is found by the user's own path.
    async with operator.calls.workspace_exec(operator.user_id) as line:
        await line.send(ExecStart(command=("cat", "evil.tar"), terminal=False).to_json().decode())
        with pytest.raises(Failure, match="elsewhere"):
            async with unpacking("x", tmp_path / "in" / "x", lambda _, __: None) as taking:
                await shown(line, lambda _, data: taking.feed(data))
                await taking.finish()
    assert list((tmp_path / "in").iterdir()) == [] and not (tmp_path / "evil").exists()


async def test_start_stop_and_what_is_known_of_it(operator: Operator) -> None:
    user = operator.user_id
    assert (await operator.calls.stop_workspace(user)).container_status is ContainerStatus.EXITED
    assert (await operator.calls.stop_workspace(user)).container_status is ContainerStatus.EXITED
    started = await operator.calls.start_workspace(user)
    assert (started.container_status, started.node, started.epoch) == (ContainerStatus.RUNNING, "ws-1", 1)
    services = operator.node.services
    await services.idle.sweep()
    await operator.run(
        "sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; dd if=/dev/zero of=f bs=1M count=3"
    )
    await services.idle.sweep()
    await services.figures.sweep()
    (found,) = (await operator.calls.workspaces(1)).items
    assert found.cpu_pct is not None and found.cpu_pct > 0
    assert found.memory_bytes and found.memory_limit_bytes and found.memory_bytes < found.memory_limit_bytes
    assert found.disk_used_bytes and found.disk_total_bytes and found.disk_used_bytes > 3_000_000
    with pytest.raises(Refused, match="has no workspace"):
        await operator.calls.start_workspace("999999999999")


async def test_a_node_that_is_silent_is_said_of_each_of_its_workspaces(operator: Operator) -> None:
    await hear(operator.url, "http://127.0.0.1:9")
    (found,) = (await operator.calls.workspaces(1)).items
    assert found.container_status is ContainerStatus.UNKNOWN and "does not answer" in (found.reason or "")


async def test_people_reach_nothing_of_it(operator: Operator) -> None:
    for path in ("internal/exec", "internal/stop", "internal/figures", "Internal/exec", "internal%2Fexec"):
        assert (await operator.person.get(f"{PREFIX}/{path}")).status_code == 404
        assert (await operator.person.post(f"{PREFIX}/{path}")).status_code == 404
    for path in ("exec", "stop", "show"):
        url = f"/api/fun-ai/admin/workspaces/{path}?userId={operator.user_id}"
        assert (await operator.person.get(url)).status_code in (403, 405)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            url = f"{operator.url}/api/fun-ai/admin/workspaces/exec?userId={operator.user_id}"
            await session.ws_connect(url, headers={ADMIN_TOKEN: ADMIN, "Origin": "https://evil.example"})
        assert refused.value.status == 400


async def test_every_order_is_logged_before_and_after_but_not_what_was_typed(
    operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "daemons.api.http.workspace_operators"):
        await operator.run("sh", "-c", "cat >/dev/null", given=b"typed-secret")
        await operator.calls.stop_workspace(operator.user_id)
    found = [record.__dict__ for record in caplog.records if "order" in record.__dict__]
    said = [(each["order"], each["outcome"]) for each in found]
    assert said == [("exec", "begun"), ("exec", "ended"), ("stop", "asked"), ("stop", "answered 200")]
    assert {each["source_address"] for each in found} == {"127.0.0.1"}
    assert "typed-secret" not in caplog.text
