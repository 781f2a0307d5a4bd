"""A child is started again whenever it ends, until it is told to stop."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import pytest

from daemons.supervisor.services import watch as watching
from daemons.supervisor.services.platform import STOP_ORDER, NotReady, Platform
from daemons.supervisor.services.watch import Watch
from tests.unit.supervisor.twins import MemoryProbe, MemoryProcesses, MemoryTicker, child


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until the condition holds; the test's time limit ends it otherwise."""
    while not condition():  # noqa: ASYNC110 - there is nothing to be woken by
        await asyncio.sleep(0)


async def test_a_crashing_child_is_started_again_with_growing_waits() -> None:
    processes, ticker = MemoryProcesses(), MemoryTicker()
    processes.scripts["deploy"] = deque([1, 1, -9])
    watch = Watch(child("deploy"), processes, ticker)
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run())
        await until(lambda: processes.log.count("start deploy") == 4)
        await watch.stop()
    assert ticker.pauses == [0.2, 0.4, 0.8]
    assert processes.log[-1] == "terminate deploy"


async def test_a_program_that_cannot_be_run_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    processes = MemoryProcesses()
    processes.scripts["git"] = deque([OSError(2, "No such file or directory")])
    watch = Watch(child("git"), processes, MemoryTicker())
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run())
        await until(lambda: "git" in processes.running)
        await watch.stop()
    assert "git cannot be started" in caplog.text


async def test_a_refused_configuration_is_said_and_not_hammered(caplog: pytest.LogCaptureFixture) -> None:
    processes, ticker = MemoryProcesses(), MemoryTicker()
    processes.scripts["api"] = deque([78, 78])
    watch = Watch(child("api"), processes, ticker)
    with caplog.at_level(logging.WARNING):
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run())
            await until(lambda: processes.log.count("start api") == 3)
            await watch.stop()
    assert ticker.pauses == [10, 10]
    assert "api refuses its configuration" in caplog.text


async def test_stopping_interrupts_the_wait_before_a_restart() -> None:
    class StoppedTime(MemoryTicker):
        async def pause(self, seconds: float) -> None:
            self.pauses.append(seconds)
            await asyncio.Event().wait()

    processes, ticker = MemoryProcesses(), StoppedTime()
    processes.scripts["runner"] = deque([1])
    watch = Watch(child("runner"), processes, ticker)
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run())
        await until(lambda: bool(ticker.pauses))
        await watch.stop()
    assert processes.log == ["start runner"]


async def test_a_child_that_ignores_the_request_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STOP_SECONDS", 0.01)
    processes = MemoryProcesses(stubborn=True)
    watch = Watch(child("agent"), processes, MemoryTicker())
    async with asyncio.TaskGroup() as group:
        group.create_task(watch.run())
        await until(lambda: "agent" in processes.running)
        await watch.stop()
    assert processes.log == ["start agent", "terminate agent", "kill agent"]


async def test_a_later_wave_waits_for_the_one_before_and_all_stop_in_order() -> None:
    processes = MemoryProcesses()
    asked: list[str] = []

    def problem(address: str) -> str | None:
        asked.append(address)
        return "not yet" if asked.count(address) < 3 else None

    children = [child(name) for name in reversed(STOP_ORDER)]
    platform = Platform(children, processes, MemoryProbe(problem), MemoryTicker())
    async with asyncio.TaskGroup() as group:
        await platform.start(group, ready_seconds=60)
        started = [line for line in processes.log if line.startswith("start")]
        await platform.stop()
    assert started[:3] == ["start gateway", "start deploy", "start git"]
    assert started[-1] == "start runner"
    assert processes.log[len(STOP_ORDER) :] == [f"terminate {name}" for name in STOP_ORDER]


async def test_a_child_that_is_never_ready_is_named_with_its_problem() -> None:
    platform = Platform([child("api")], MemoryProcesses(), MemoryProbe(lambda _: "HTTP 503: store"), MemoryTicker())
    async with asyncio.TaskGroup() as group:
        with pytest.raises(NotReady, match="api did not become ready in time: HTTP 503: store"):
            await platform.start(group, ready_seconds=2)
        await platform.stop()


async def test_a_refused_configuration_ends_the_start_at_once() -> None:
    processes = MemoryProcesses()
    processes.scripts["deploy"] = deque([78] * 1000)
    platform = Platform([child("deploy")], processes, MemoryProbe(lambda _: "no answer"), MemoryTicker())
    async with asyncio.TaskGroup() as group:
        with pytest.raises(NotReady) as raised:
            await platform.start(group, ready_seconds=60)
        await platform.stop()
    assert raised.value.exit_code == 78
