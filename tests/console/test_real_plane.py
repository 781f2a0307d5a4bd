"""The console on the real control plane: what the twin stands for holds there as well."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.app import ConsoleApp
from console.widgets.log_pane import LogPane
from protocol.client.operator import OperatorClient
from protocol.jobs import JobStatus
from tests.console.plane_server import Served, seed, served


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane:
        yield plane


@pytest.fixture
def client(plane: Served) -> OperatorClient:
    return plane.admin()


@pytest.fixture
def app(client: OperatorClient) -> ConsoleApp:
    return ConsoleApp(client, "test")


async def until(pilot: Pilot[None], true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await pilot.pause(0.02)


async def test_watch_read_and_cancel(plane: Served, client: OperatorClient, app: ConsoleApp) -> None:
    ids = await seed(plane)

    def status(app_id: str) -> JobStatus | None:
        model = app.main.live.model
        return model.jobs[ids[app_id]].status if model and ids[app_id] in model.jobs else None

    async with client.transport, app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: status("20001") is JobStatus.RUNNING)
        assert status("20002") is JobStatus.FAILED
        await pilot.press("end", "enter")
        pane = app.main.query_one(LogPane)
        await until(pilot, lambda: "cloning" in "\n".join(pane.lines))
        await pilot.press("escape", "escape", "home")
        assert app.main.table.cursor.target == ids["20003"]
        await pilot.press("c", "right", "enter")
        await until(pilot, lambda: status("20003") is JobStatus.CANCELLED)
        await pilot.press("2", "o", "right", "enter")
        await until(
            pilot,
            lambda: app.main.live.model is not None and not next(iter(app.main.live.model.nodes.values())).enabled,
        )
