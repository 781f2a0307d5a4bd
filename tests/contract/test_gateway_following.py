"""Gateways learn of apps' own hosts: by a timer before several nodes, by themselves where there is one. What is refused
or unchanged is never read, and what was not read is read the next time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from daemons.kit import gateway_following
from daemons.kit.gateway_following import Following, NotFollowed
from tests.http.deploy.plane import TOKENS
from tests.support import entries, real
from tests.support.entries import API_TOKEN, World
from tests.support.eventually import eventually
from tests.support.gateways import AnyGateway, Backends, Running, RunningNginx, nginx_argv, nginx_configured

pytestmark = pytest.mark.real

HOST = "www.shop.example"
LISTED = f"# 1 domains\n{HOST} 7\n"


class Timer:
    """What an operator's timer starts, in a folder of its own."""

    def __init__(self, kind: str, world: World, folder: Path, port: int) -> None:
        self.kind, self.folder = kind, folder
        self.output, self.listed, self.reloads = folder / "site.conf", folder / "hosts", folder / "reloads"
        self.command = "true"
        deploy = world.plane.url.removeprefix("http://")
        self._options = [
            *("--kind", kind, "--role", "entry", "--listen", f"127.0.0.1:{port}"),
            *("--api", f"127.0.0.1:{world.api.port}", "--deploy", deploy, "--rate", "1000"),
            *("--cache", str(folder / "cache"), "--folder", str(folder / "maps")),
            *("--domains", str(self.listed), "--output", str(self.output)),
        ]

    async def run(self, check: str = "", reload: str = "") -> int:
        """Its exit code."""
        check = check or self._check()
        reload = reload or f"sh -c 'echo once >> {self.reloads}; exec {self.command}'"
        options = [*self._options, "--check", check, "--reload", reload]
        return await asyncio.to_thread(gateway_following.main, options)

    def written(self) -> tuple[bytes, bytes]:
        """List and configuration."""
        return self.listed.read_bytes(), self.output.read_bytes()

    async def reloaded(self) -> int:
        """How often."""
        return len((await asyncio.to_thread(self.reloads.read_text)).splitlines())

    def _check(self) -> str:
        if self.kind == "haproxy":
            return f"{real.program('haproxy', 'haproxy')} -c -f {self.output}"
        return " ".join((*nginx_argv(self.folder)[:-2], "-t"))


@pytest.fixture(params=["nginx", "haproxy"])
async def followed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, Timer]]:
    """A world whose entry was made by the timer, before anybody had a host."""
    monkeypatch.setenv("FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN", API_TOKEN)
    monkeypatch.setenv("DEPLOY_GATEWAY_TOKEN", TOKENS["gateway"])
    timers: list[Timer] = []

    @asynccontextmanager
    async def serve(world: World, folder: Path, **_: Any) -> AsyncIterator[str]:
        port, kind = real.free_port(), request.param
        await asyncio.to_thread(nginx_configured, folder, "")
        timer = Timer(kind, world, folder, port)
        assert await timer.run() == 0
        haproxy = (real.program("haproxy", "haproxy"), "-W", "-db", "-f", str(timer.output))
        with real.process(nginx_argv(folder) if kind == "nginx" else haproxy, folder / "log") as master:
            await asyncio.to_thread(real.wait_until, lambda: real.listening(port), "the entry's start")
            timer.command = f"kill -{'HUP' if kind == 'nginx' else 'USR2'} {master.pid}"
            timers.append(timer)
            yield f"http://127.0.0.1:{port}"

    async with entries.world(serve, tmp_path) as world:
        await world.deployed("7", on="n1")
        yield world, timers[0]


async def _shown(world: World) -> str:
    answer = await world.visitor.get("/x", headers={"Host": HOST})
    return str(answer.json()["name"])


async def _becomes(world: World, name: str) -> None:
    async def shown() -> bool:
        return await _shown(world) == name

    await eventually(shown)


async def test_a_host_comes_and_goes(followed: tuple[World, Timer], capsys: pytest.CaptureFixture[str]) -> None:
    world, timer = followed
    assert await _shown(world) == "api"
    world.api.listed = LISTED
    assert await timer.run() == 0
    assert capsys.readouterr().out == f"1 hosts (+{HOST}); the gateway reads them\n"
    await _becomes(world, "7 on n1")
    assert await timer.run() == 0
    assert (capsys.readouterr().out, await timer.reloaded()) == ("1 hosts, nothing changed\n", 2)
    world.api.listed = "# 0 domains\n"
    assert await timer.run() == 0
    assert capsys.readouterr().out == f"0 hosts (-{HOST}); the gateway reads them\n"
    await _becomes(world, "api")


async def test_what_is_no_list_changes_nothing(
    followed: tuple[World, Timer], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, timer = followed
    world.api.listed = LISTED
    assert await timer.run() == 0
    before = await asyncio.to_thread(timer.written)
    for text, says in (
        (LISTED.replace("1", "2"), "fetch it again"),
        ("<html>", "is no list of hosts"),
        (f"# 1 domains\n{HOST}; 7\n", "host's name"),
    ):
        world.api.listed = text
        assert await timer.run() == 1
        assert says in capsys.readouterr().err, text
    monkeypatch.setenv("FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN", "another")
    assert await timer.run() == 1
    assert "answered 401" in capsys.readouterr().err
    await world.api.stop()
    assert await timer.run() == 1
    assert "does not tell the hosts" in capsys.readouterr().err
    assert (await asyncio.to_thread(timer.written), await timer.reloaded()) == (before, 2)


async def test_what_the_gateway_refuses_is_put_back(
    followed: tuple[World, Timer], capsys: pytest.CaptureFixture[str]
) -> None:
    world, timer = followed
    before = await asyncio.to_thread(timer.written)
    world.api.listed = LISTED
    assert await timer.run(check="sh -c 'echo it has no brackets; exit 3'") == 1
    assert "ended with 3: it has no brackets" in capsys.readouterr().err
    assert await timer.run(check="/no/such/program") == 1
    assert "cannot be started" in capsys.readouterr().err
    assert (await asyncio.to_thread(timer.written), await timer.reloaded()) == (before, 1)
    assert await timer.run() == 0
    await _becomes(world, "7 on n1")


async def test_what_was_not_read_is_read_the_next_time(
    followed: tuple[World, Timer], capsys: pytest.CaptureFixture[str]
) -> None:
    world, timer = followed
    world.api.listed = LISTED
    assert await timer.run(reload="false") == 1
    assert "false ended with 1" in capsys.readouterr().err
    # Nothing changed meanwhile, and the gateway knows nothing of it.
    assert await timer.run() == 0
    await _becomes(world, "7 on n1")


async def test_a_certificate_that_was_renewed_is_read(tmp_path: Path) -> None:
    backends, reads = Backends(), list[str]()
    api = entries.Api(backends, listed=LISTED)
    await api.start()

    async def nothing() -> None:
        reads.append("read")

    renewed, output = tmp_path / "www.shop.example.pem", tmp_path / "site.conf"
    following = Following(
        ("127.0.0.1", api.port),
        tmp_path / "hosts",
        output,
        lambda: None,
        nothing,
        nothing,
        API_TOKEN,
        lambda: [renewed],
    )
    for content, times in (("one", 2), ("one", 2), ("two", 4)):
        await asyncio.to_thread(renewed.write_text, content)
        await following.once()
        assert len(reads) == times
    await api.stop()
    await backends.close()


async def test_where_there_is_one_gateway_it_learns_of_hosts_too(tmp_path: Path) -> None:
    backends = Backends()
    api = entries.Api(backends, listed="# 0 domains\n")
    await api.start()
    async with entries.alone(backends, tmp_path) as running, httpx.AsyncClient(base_url=running.url) as visitor:
        configuration, config = running.configuration, running.folder / "haproxy.cfg"
        haproxy = real.program("haproxy", "haproxy")
        following = Following(
            ("127.0.0.1", api.port),
            configuration.domains_path,
            config,
            lambda: None,
            lambda: gateway_following.run((haproxy, "-c", "-f", str(config))),
            lambda: gateway_following.reload_haproxy(configuration.master_path),
            API_TOKEN,
        )
        await running.driver.route("7", await backends.serve("seven"))
        assert await following.once() == "0 hosts; the gateway reads them"
        assert await following.once() == "0 hosts, nothing changed"
        api.listed = LISTED
        assert await following.once() == f"1 hosts (+{HOST}); the gateway reads them"

        async def seen(path: str) -> httpx.Response:
            return await visitor.get(path, headers={"Host": f"{HOST.upper()}:8088", "X-Admin-Token": "forged"})

        async def known() -> bool:
            return bool((await seen("/my-shop")).json()["name"] == "seven")

        await eventually(known)
        for path, there in (
            ("/", "/"),
            ("/a%2Fb?x=%26", "/a%2Fb?x=%26"),
            ("/runtime/7/x.js", "/x.js"),
            ("/runtime/71/", "/runtime/71/"),
            ("/api/fun-ai/internal/x", "/api/fun-ai/internal/x"),
            ("/preview/1/", "/preview/1/"),
        ):
            answer = (await seen(path)).json()
            assert (answer["name"], answer["path"]) == ("seven", there)
            assert "x-forwarded-prefix" not in answer["headers"] and "forged" not in answer["headers"].values()
        assert (await seen("/?answer=Set-Cookie: a=1; Path=/")).headers["set-cookie"] == "a=1; Path=/"
        below = await visitor.get("/runtime/7/?answer=Set-Cookie: a=1; Path=/")
        assert below.headers["set-cookie"] == "a=1; Path=/runtime/7/"
        api.listed = "# 0 domains\n"
        await following.once()

        async def forgotten() -> bool:
            return bool((await seen("/my-shop")).json()["name"] == "api")

        await eventually(forgotten)
        await running.driver.reconcile(dict)
    with pytest.raises(NotFollowed, match="was not reached"):
        api.listed = LISTED
        await following.once()
    await api.stop()
    await backends.close()


@pytest.mark.parametrize("kind", [Running, RunningNginx])
async def test_a_node_believes_its_entry_alone_of_hosts(
    kind: Callable[[Path, tuple[str, ...]], AnyGateway], tmp_path: Path
) -> None:
    backends, told = Backends(), {"X-Gateway-Hop": "domain"}
    port = await backends.serve("one")
    for entrances, prefix, cookie in (
        (("127.0.0.1",), None, "a=1; Path=/"),
        (("10.0.0.1",), "/runtime/1", "a=1; Path=/runtime/1/"),
    ):
        folder = tmp_path / entrances[0]
        await asyncio.to_thread(folder.mkdir)
        running = await asyncio.to_thread(kind, folder, entrances)
        with real.process(running.argv(), folder / "log"):
            await asyncio.to_thread(real.wait_until, partial(real.listening, running.port), "its start")
            await running.driver.reconcile(lambda: {"1": port})
            async with httpx.AsyncClient(base_url=running.url) as visitor:
                answer = await visitor.get("/runtime/1/?answer=Set-Cookie: a=1; Path=/", headers=told)
            assert answer.json()["headers"].get("x-forwarded-prefix") == prefix
            assert answer.headers["set-cookie"] == cookie
    await backends.close()
