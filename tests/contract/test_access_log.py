"""What is logged of visits: by app, bounded, and nothing that may be a visitor's secret."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from daemons.agent.adapters.access_log import AccessLogs
from daemons.kit.tasks import running
from tests.support import real
from tests.support.eventually import eventually
from tests.support.gateways import AnyGateway, Backends, Running, RunningNginx


@pytest.fixture
async def backends() -> AsyncIterator[Backends]:
    apps = Backends()
    yield apps
    await apps.close()


@pytest.fixture(params=[Running, RunningNginx])
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> AnyGateway:
    made: AnyGateway = request.param(tmp_path)
    return made


@pytest.mark.real
async def test_visits_are_logged_by_app_without_secrets(
    gateway: AnyGateway, tmp_path: Path, backends: Backends
) -> None:
    logs = AccessLogs(gateway.configuration.access_path, tmp_path, 1024**2, 14)
    one, two = await backends.serve("one"), await backends.serve("two")
    with real.process(gateway.argv(), tmp_path / "log"):
        real.wait_until(lambda: real.listening(gateway.port), "the gateway's start")
        await gateway.driver.reconcile(lambda: {"1": one, "2": two, "3": real.free_port()})

        async def arrived() -> bool:
            counts = [len((await logs.tail(app, 10)).splitlines()) for app in ("1", "2", "3")]
            return counts == [2, 2, 1]

        async with running(logs.run), aiohttp.ClientSession(gateway.url) as session:
            await eventually(partial(asyncio.to_thread, gateway.configuration.access_path.exists))
            for path in (
                "/runtime/1/a%22b/?token=secret-1",
                "/apps/2/",
                "/runtime/3/",
                "/runtime/9/",
                f"/apps/2/{'x' * 9000}",
            ):
                headers = {"Authorization": "secret-2", "Cookie": "sid=secret-3", "Referer": "http://x/?secret-4"}
                async with session.get(URL(gateway.url + path, encoded=True), headers=headers) as response:
                    await response.read()
            async with session.request("M" * 40, "/runtime/1/") as response:
                await response.read()
            await eventually(arrived)
    first, odd = (json.loads(line) for line in (await logs.tail("1", 10)).splitlines())
    assert (first["app"], first["method"], first["path"]) == ("1", "GET", "/runtime/1/a%22b/")
    assert (first["status"], first["target"], first["visitor"]) == (200, f"127.0.0.1:{one}", "127.0.0.1")
    assert first["at"].endswith("Z")
    assert odd["method"] == "M" * 16
    _, long = (json.loads(line) for line in (await logs.tail("2", 10)).splitlines())
    assert len(long["path"]) <= 512
    (refused,) = (json.loads(line) for line in (await logs.tail("3", 10)).splitlines())
    assert refused["status"] == 503
    names = {path.name for path in (tmp_path / "access").iterdir()}
    assert names == {"1.jsonl", "2.jsonl", "3.jsonl"}
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / "access").iterdir())


async def test_what_is_removed_does_not_come_back_by_what_was_not_written_yet(tmp_path: Path) -> None:
    logs = AccessLogs(tmp_path / "access.sock", tmp_path, 100, 14)
    line = json.dumps({"path": "x" * 80}).encode()
    async with running(logs.run):
        await eventually(partial(asyncio.to_thread, (tmp_path / "access.sock").exists))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sender, str(tmp_path / "access.sock"))

            async def come(*texts: bytes) -> None:
                for text in texts:
                    await loop.sock_sendall(sender, text)

            async def written(app_id: str, count: int) -> bool:
                return len((await logs.tail(app_id, 10)).splitlines()) == count

            await come(b"1 " + line, b"11 {}")
            await eventually(lambda: written("1", 1))
            # With this one the file is full, and the next one begins another.
            await come(b"1 " + line)
            await eventually(lambda: written("1", 2))
            await come(b"1 {}")
            await eventually(lambda: written("1", 3))
            await come(b"1 {}")
            await logs.remove("1")
            await logs.remove("1")
            await come(b"11 {}")
            await eventually(lambda: written("11", 2))
    assert [path.name for path in (tmp_path / "access").iterdir()] == ["11.jsonl"]


async def test_files_are_bounded_and_other_lines_make_none(tmp_path: Path) -> None:
    logs = AccessLogs(tmp_path / "access.sock", tmp_path, 1000, 14)
    line = json.dumps({"path": "x" * 80}).encode()

    async with running(logs.run):
        await eventually(partial(asyncio.to_thread, (tmp_path / "access.sock").exists))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sender, str(tmp_path / "access.sock"))
            odd = (b"- {}", b"../../etc/passwd {}", b"1 " + b"y" * 20000, b"1 {broken", b"", b"1 {}\n2 {}")
            for text in (*odd, *[b"1 " + line] * 100, b"2 {}\n"):
                await loop.sock_sendall(sender, text)

        async def arrived() -> bool:
            return await logs.tail("2", 1) == "{}\n"

        await eventually(arrived)
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "access").iterdir()}
    assert sizes.keys() <= {"1.jsonl", "1.1.jsonl", "2.jsonl"}
    newest = (await logs.tail("1", 3)).splitlines()
    assert newest == [line.decode()] * min(3, len(newest))
