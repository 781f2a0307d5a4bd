"""Projects as they are, under the preview path: `bin/test tests/system/test_preview_frameworks.py --frameworks`.

It needs the registries of npm and PyPI, and a minute or two for each framework.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol.workspace_previews import Visibility
from protocol.workspace_runs import RunType
from tests.support import frameworks, node_image, preview_gateway, python_image, workspace_node
from tests.support.browser import Page, chromium, first_page
from tests.support.eventually import eventually
from tests.support.preview_projects import put
from tests.support.workspace_node import Node, new_user

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]
_HOST = "studio.test"
_TAKEN_OVER = "Object.keys(document.querySelector('h1')).some((key) => key.startsWith('__reactFiber'))"


@pytest.fixture(autouse=True)
def asked_for(request: pytest.FixtureRequest) -> None:
    """Whether registries may be asked at all."""
    if not request.config.getoption("--frameworks"):
        pytest.skip("give --frameworks: it installs packages from registries")


@pytest.fixture(params=preview_gateway.GATEWAYS)
def gateway(request: pytest.FixtureRequest) -> str:
    """Which one visitors come by."""
    return str(request.param)


@asynccontextmanager
async def _served(docker_url: str, folder: Path, image: str, gateway: str) -> AsyncIterator[tuple[Node, str]]:
    settings: dict[str, Any] = {
        "FUNAI_WORKSPACE_IMAGE": image,
        "FUNAI_WORKSPACE_DISKQUOTA": "2g",
        "FUNAI_WORKSPACE_PREVIEWBASEURL": f"http://{_HOST}",
        "FUNAI_WORKSPACE_PREVIEWHOLDSECONDS": "120",
    }
    async with (
        workspace_node.node(docker_url, folder / "node", **settings) as node,
        preview_gateway.GATEWAYS[gateway](node.url, folder / "gateway") as url,
    ):
        yield node, url


async def _begun(node: Node, app_id: str, project: Path) -> tuple[str, Path]:
    """The user, and the app's folder."""
    user = new_user()
    async with node.client(user) as client:
        await client.ensure()
        folder = await asyncio.to_thread(put, node, user, app_id, project)
        await client.run(RunType.START, app_id)
    return user, folder


@asynccontextmanager
async def _browser(folder: Path) -> AsyncIterator[Page]:
    with chromium(folder, f"--host-resolver-rules=MAP {_HOST} 127.0.0.1") as port:
        async with first_page(port) as page:
            yield page


async def _edited_live(page: Page, address: str, file: Path, old: str, new: str) -> None:
    """The page shows `new` once the file says it, and was not loaded again."""
    await page.call("Network.enable")
    await page.call("Page.navigate", url=address)
    await page.until(f"document.querySelector('h1')?.textContent.includes({old!r})", "the page")
    await page.value("window.still = 'the same page'")
    text = await asyncio.to_thread(file.read_text)
    assert old in text
    # A page whose socket is not connected yet would miss the change.
    await page.until_connected()
    # One that React has not taken over yet loads itself anew.
    await page.until(_TAKEN_OVER, "React's page")
    await asyncio.to_thread(file.write_text, text.replace(old, new))
    await page.until(f"document.querySelector('h1')?.textContent.includes({new!r})", "the change")
    assert await page.value("window.still") == "the same page"


def _port(url: str) -> int:
    return httpx.URL(url).port or 80


@pytest.mark.parametrize(
    ("make", "source", "old"),
    [(frameworks.vite, "src/App.tsx", "Get started"), (frameworks.next_app, "app/page.tsx", "To get started")],
    ids=["vite", "next"],
)
async def test_edits_appear_in_the_open_page(
    docker_url: str, tmp_path: Path, gateway: str, make: Callable[[Path], Path], source: str, old: str
) -> None:
    image = "funai-test-node:1"
    await asyncio.to_thread(node_image.build, docker_url, image)
    project = await asyncio.to_thread(make, tmp_path)
    async with _served(docker_url, tmp_path, image, gateway) as (node, url):
        _, folder = await _begun(node, "live", project)
        address = f"http://{_HOST}:{_port(url)}/preview/live/"
        async with httpx.AsyncClient(timeout=150) as client:
            assert (await client.get(f"{url}/preview/live/", headers={"Host": _HOST})).status_code == 200
        async with _browser(tmp_path / "browser") as page:
            await _edited_live(page, address, folder / source, old, "Seen at once")


async def test_edits_appear_in_a_private_page(docker_url: str, tmp_path: Path, gateway: str) -> None:
    """Its files and its socket come with the pass of whoever opened the link."""
    image = "funai-test-node:1"
    await asyncio.to_thread(node_image.build, docker_url, image)
    project = await asyncio.to_thread(frameworks.vite, tmp_path)
    async with _served(docker_url, tmp_path, image, gateway) as (node, url):
        user, folder = await _begun(node, "live", project)
        async with node.client(user) as owner:
            await owner.show_preview("live", Visibility.PRIVATE)
            link = httpx.URL((await owner.preview_link("live")).url).raw_path.decode()
        async with httpx.AsyncClient(timeout=150) as client:
            assert (await client.get(f"{url}/preview/live/", headers={"Host": _HOST})).status_code == 401
        async with _browser(tmp_path / "browser") as page:
            await _edited_live(
                page, f"http://{_HOST}:{_port(url)}{link}", folder / "src/App.tsx", "Get started", "Seen at once"
            )


async def test_express_starts_again_by_itself(docker_url: str, tmp_path: Path, gateway: str) -> None:
    image = "funai-test-node:1"
    await asyncio.to_thread(node_image.build, docker_url, image)
    project = await asyncio.to_thread(frameworks.express, tmp_path)
    async with _served(docker_url, tmp_path, image, gateway) as (node, url):
        _, folder = await _begun(node, "express", project)
        await _changes(f"{url}/preview/express", folder / "server.js")


async def test_flask_starts_again_by_itself(docker_url: str, tmp_path: Path, gateway: str) -> None:
    image = "funai-test-python:1"
    await asyncio.to_thread(python_image.with_pip, docker_url, image)
    project = await asyncio.to_thread(frameworks.flask, tmp_path)
    async with _served(docker_url, tmp_path, image, gateway) as (node, url):
        user = new_user()
        async with node.client(user) as client:
            await client.ensure()
            folder = await asyncio.to_thread(put, node, user, "flask", project)
            venv = node.home(user) / ".venv" / "flask"
            await asyncio.to_thread(frameworks.virtual_environment, venv, folder / "requirements.txt")
            owner = str(node.settings.uid)
            await asyncio.to_thread(subprocess.run, ["chown", "-hR", owner, str(venv.parent)], check=True)
            await client.run(RunType.START, "flask")
        await _changes(f"{url}/preview/flask", folder / "app.py")


async def _changes(address: str, file: Path) -> None:
    async with httpx.AsyncClient(timeout=60) as client:
        assert "<h1>first</h1>" in (await client.get(f"{address}/")).text
        assert (await client.get(f"{address}/go")).headers["location"] == f"{httpx.URL(address).path}/next"
        text = await asyncio.to_thread(file.read_text)
        await asyncio.to_thread(file.write_text, text.replace("first", "second"))

        async def changed() -> bool:
            try:
                return "<h1>second</h1>" in (await client.get(f"{address}/")).text
            except httpx.HTTPError:
                return False

        await eventually(changed)
