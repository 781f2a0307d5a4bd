"""An operator's shell through the control plane: a real agent over twins, real WebSockets on both ways."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest

from protocol.audit import AuditEntry, AuditQuery
from protocol.client.socket import ClientLine
from protocol.client.transport import Refused
from protocol.headers import ADMIN_TOKEN
from protocol.jobs import JobStatus, ReportJob
from protocol.shell import SHELL_WORD, ShellBegun, ShellEnd, ShellEndReason, ShellResize, ShellStart, ShellView
from tests.http.deploy.plane import HEADERS, TOKENS, Plane, serving
from tests.support.agent_served import AgentServed, agent_served
from tests.support.agent_twins import Behaviour
from tests.support.eventually import eventually
from tests.support.terminal_twins import TwinTerminals

_APP = "20001"
_SHELL = f"/admin/apps/{_APP}/shell"
_BOUNDS = {"RUNTIME_SHELLS": 2, "RUNTIME_SHELL_IDLE_SECONDS": 0.3, "RUNTIME_SHELL_SECONDS": 0.8}


class World:
    """A control plane, an agent and an app on it that runs."""

    def __init__(self, plane: Plane, agent: AgentServed, container: str, terminals: TwinTerminals) -> None:
        self.plane = plane
        self.agent = agent
        self.container = container
        self.terminals = terminals

    async def audited(self) -> list[AuditEntry]:
        """What the audit log has of shells, oldest first."""
        return list(reversed((await self.plane.admin.audit(AuditQuery(kind="shell"))).items))

    async def ended(self) -> bool:
        """Whether no process is left."""
        return all(terminal.over for terminal in self.terminals.opened)


@pytest.fixture
async def bounds() -> dict[str, object]:
    return {"RUNTIME_SHELLS": 2}


@pytest.fixture
async def world(bounds: dict[str, object]) -> AsyncIterator[World]:
    terminals = TwinTerminals()
    async with agent_served(TOKENS["agent"], terminals, **bounds) as agent, serving() as plane:
        await plane.beat(agentBaseUrl=agent.url)
        await plane.create(_APP)
        job = await plane.claim()
        assert job is not None
        container = await agent.deploy(_APP, "1", 1)
        report = ReportJob(runner_id="r1", lease_token=job.lease_token, status=JobStatus.SUCCEEDED)
        await plane.runners.report(job.id, report)
        yield World(plane, agent, container, terminals)


async def start(line: ClientLine, *command: str) -> None:
    await line.send(ShellStart(command=command or ("sh",), cols=100, rows=30).to_json().decode())
    begun = await line.receive()
    assert isinstance(begun, str) and isinstance(SHELL_WORD.validate_json(begun), ShellBegun)


async def said(line: ClientLine, word: bytes) -> None:
    """Returns once the word was written."""
    text = b""
    async with asyncio.timeout(60):
        while word not in text:
            frame = await line.receive()
            assert isinstance(frame, bytes), f"{frame!r} after {text!r}"
            text += frame


async def last(line: ClientLine) -> ShellEnd:
    """How it ended."""
    async with asyncio.timeout(60):
        while (frame := await line.receive()) is not None:
            if isinstance(frame, str):
                end = SHELL_WORD.validate_json(frame)
                assert isinstance(end, ShellEnd)
                assert await line.receive() is None, "a close frame follows"
                return end
    raise AssertionError("it ended without a word")


async def test_a_shell_is_carried_and_audited_without_its_content(world: World) -> None:
    async with world.plane.admin.app_shell(_APP) as line:
        await start(line)
        await line.send(ShellResize(cols=120, rows=50).to_json().decode())
        await line.send(b"stty size\n")
        await said(line, b"50 120")
        await line.send(b"secret words\nexit 3\n")
        assert await last(line) == ShellEnd(reason=ShellEndReason.EXITED, exit_code=3)
    opened, closed = await world.audited()
    assert (opened.change, closed.change, closed.subject, closed.actor) == ("opened", "closed", _APP, "admin")
    assert closed.source_address == "127.0.0.1" and closed.after is not None
    view = ShellView.model_validate(closed.after, strict=False)
    assert (view.node, view.command, view.container, view.exit_code) == ("n1", ("sh",), world.container, 3)
    assert (view.typed_bytes, view.reason) == (30, ShellEndReason.EXITED) and view.written_bytes > 30
    assert "secret words" not in str(opened) + str(closed)
    assert await world.ended()


async def test_who_leaves_ends_it(world: World) -> None:
    async with world.plane.admin.app_shell(_APP) as line:
        await start(line)
    await eventually(world.ended)

    async def audited() -> bool:
        return len(await world.audited()) == 2

    await eventually(audited)
    closed = (await world.audited())[1].after
    assert closed is not None and closed["reason"] == "left"


async def test_a_reader_who_takes_nothing_stops_the_writer_and_no_memory_grows(world: World) -> None:
    async with world.plane.admin.app_shell(_APP) as line:
        await start(line, "yes")
        terminal, before = world.terminals.opened[0], -1
        async with asyncio.timeout(60):
            while terminal.taken != before:
                before = terminal.taken
                await asyncio.sleep(0.3)
        assert 0 < before < 32 * 1024**2, "what sockets hold"
        for _ in range(100):
            assert isinstance(await line.receive(), bytes)
    await eventually(world.ended)


async def test_shells_are_bounded_in_number(world: World) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await start(await stack.enter_async_context(world.plane.admin.app_shell(_APP)))
        with pytest.raises(Refused, match="node n1: there are 2 shells") as refusal:
            await stack.enter_async_context(world.plane.admin.app_shell(_APP))
        assert (refusal.value.status, refusal.value.reason) == (429, "rate_limited")
    await eventually(world.ended)


@pytest.mark.parametrize("bounds", [{"RUNTIME_SHELLS": 0}])
async def test_a_node_may_open_none(world: World) -> None:
    with pytest.raises(Refused, match="node n1: this node opens no shells"):
        async with world.plane.admin.app_shell(_APP):
            pass


@pytest.mark.parametrize("bounds", [_BOUNDS])
@pytest.mark.parametrize(
    ("typing", "reason", "words"),
    [
        (False, ShellEndReason.IDLE, "nothing was typed or written for 0.3 seconds"),
        (True, ShellEndReason.TIME, "it was open for 0.8 seconds"),
    ],
)
async def test_shells_are_bounded_in_time(world: World, typing: bool, reason: ShellEndReason, words: str) -> None:
    async with world.plane.admin.app_shell(_APP) as line, asyncio.TaskGroup() as group:
        await start(line)

        async def type_on() -> None:
            while True:
                await line.send(b"x")
                await asyncio.sleep(0.05)

        task = group.create_task(type_on()) if typing else None
        end = await last(line)
        if task is not None:
            task.cancel()
    assert end.reason is reason and words in end.text
    assert await world.ended()


async def test_an_app_that_does_not_run_says_how_it_stands(world: World) -> None:
    await world.agent.engine.stop(world.container, 0)
    with pytest.raises(Refused, match=f"a shell in app {_APP}: app {_APP} does not run: it is CRASHED") as refusal:
        async with world.plane.admin.app_shell(_APP):
            pass
    assert (refusal.value.status, refusal.value.reason) == (409, "not_running")
    with pytest.raises(Refused, match="on no runtime node"):
        async with world.plane.admin.app_shell("20009"):
            pass
    assert await world.audited() == []


async def test_an_app_that_is_stopped_meanwhile_ends_it(world: World) -> None:
    async with world.plane.admin.app_shell(_APP) as line:
        await start(line)
        world.agent.engine.behaviours[world.container] = Behaviour()
        await world.agent.engine.stop(world.container, 0)
        world.terminals.opened[0].end(137)
        end = await last(line)
    assert end.reason is ShellEndReason.STOPPED and "redeployment" in end.text


async def test_an_agent_that_is_gone_is_told_of(world: World) -> None:
    await world.agent.runner.cleanup()
    with pytest.raises(Refused, match="node n1 cannot give a shell in app 20001: its agent does not answer") as refusal:
        async with world.plane.admin.app_shell(_APP):
            pass
    assert refusal.value.status == 502 and "127.0.0.1" not in str(refusal.value)


@pytest.mark.parametrize("who", ["plane", "agent"])
async def test_a_shutdown_closes_shells_with_a_word_and_a_close_frame(world: World, who: str) -> None:
    app = world.plane.app if who == "plane" else world.agent.runner.app
    async with world.plane.admin.app_shell(_APP) as line:
        await start(line)
        await line.send(b"exit 0\n")
        assert (await last(line)).reason is ShellEndReason.EXITED
    async with world.plane.admin.app_shell(_APP) as line, asyncio.timeout(60):
        await start(line)
        closing = asyncio.ensure_future(app.shutdown())
        end = await last(line)
        await closing
        assert who == "plane" or await world.ended(), "a server that ends waits for that"
    assert end.reason is ShellEndReason.SHUTDOWN and "is being stopped" in end.text
    await eventually(world.ended)
    assert [entry.change for entry in await world.audited()] == 2 * ["opened", "closed"]


async def test_only_operators_are_admitted(world: World) -> None:
    for role in ("api", "runner", "node", "agent"):
        async with aiohttp.ClientSession(world.plane.url, headers={HEADERS[role]: TOKENS[role]}) as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
                await session.ws_connect(_SHELL)
        assert refusal.value.status == 401


async def test_pages_in_browsers_and_first_frames_that_start_nothing_are_refused(world: World) -> None:
    proof = {ADMIN_TOKEN: TOKENS["admin"]}
    async with aiohttp.ClientSession(world.plane.url, headers=proof) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await session.ws_connect(_SHELL, origin="https://elsewhere.example")
        assert refusal.value.status == 400
        for frame in ("{}", '{"kind":"resize","cols":1,"rows":1}', '{"kind":"start","command":["a\\u0000"]}', "x"):
            async with session.ws_connect(_SHELL) as socket:
                await socket.send_str(frame)
                assert "what to start" in (await socket.receive_str())
    assert world.terminals.opened == [] and await world.audited() == []
