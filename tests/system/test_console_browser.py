"""The console in a real browser: who gets in, and that a dropped socket costs nothing."""

import asyncio
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.console.plane_server import TOKEN, Served, seed, served
from tests.console.test_one_shot import clean, funai
from tests.support.browser import chromium, first_page
from tests.support.real import free_port, program, wait_until

pytestmark = pytest.mark.real
#: Keeps the sockets, and what the terminal was sent, where a test can see them.
_SPY = """
window.seen = ''; window.sockets = [];
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...words) {
    super(...words);
    window.sockets.push(this);
    this.addEventListener('message', (event) => {
      if (typeof event.data !== 'string') window.seen += new TextDecoder().decode(event.data);
    });
  }
};
"""


@dataclass(frozen=True)
class Site:
    url: str
    server: psutil.Process

    @property
    def consoles(self) -> list[int]:
        return [each.pid for each in self.server.children()]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as plane:
        asyncio.run(seed(plane))
        yield plane


@pytest.fixture
def site(plane: Served, tmp_path: Path) -> Iterator[Site]:
    port = free_port()
    argv = [sys.executable, "-m", "console", "console", "--serve", "--port", str(port)]
    log = (tmp_path / "serve.log").open("wb")
    child = subprocess.Popen(argv, env=clean({**plane.environ, "LANG": "C.UTF-8"}), stdout=log, stderr=log)
    try:
        wait_until(lambda: b"the console is at" in (tmp_path / "serve.log").read_bytes(), "the served console")
        yield Site(f"http://127.0.0.1:{port}", psutil.Process(child.pid))
        child.send_signal(signal.SIGTERM)
        assert child.wait(90) == 0, (tmp_path / "serve.log").read_text()
    finally:
        child.kill()
        child.wait()
        log.close()


def test_a_picture_as_png(plane: Served, tmp_path: Path) -> None:
    program("chromium", "chromium")
    path = tmp_path / "nodes.png"
    drawn = funai(plane.environ, "screenshot", "nodes", "-o", str(path), "--size", "100x30", "--theme", "light")
    assert drawn.returncode == 0, drawn.stderr
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    assert data.startswith(b"\x89PNG\r\n") and width > 1000 and height > 500
    assert funai(plane.environ, "screenshot", "nodes", "-o", str(tmp_path / "nodes.gif")).returncode == 2


async def test_strangers_stay_outside(site: Site) -> None:
    ours = {"Origin": site.url}
    async with aiohttp.ClientSession() as browser:
        async with browser.get(site.url) as page:
            assert page.status == 200 and "Admin token" in await page.text()
            assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
        async with browser.get(site.url, headers={"Host": "rebound.example"}) as page:
            assert page.status == 421
        for origin in ({}, {"Origin": "http://evil.example"}):
            async with browser.post(f"{site.url}/login", data={"token": TOKEN}, headers=origin) as page:
                assert page.status == 403 and "Set-Cookie" not in page.headers
        async with browser.post(f"{site.url}/login", data={"token": "wrong"}, headers=ours) as page:
            assert page.status == 403 and "does not accept" in await page.text()
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await browser.ws_connect(f"{site.url}/ws/{'0' * 32}", headers=ours)
        async with browser.post(
            f"{site.url}/login", data={"token": TOKEN}, headers=ours, allow_redirects=False
        ) as page:
            cookie = page.headers["Set-Cookie"]
            assert page.status == 303 and "HttpOnly" in cookie and "SameSite=Strict" in cookie and TOKEN not in cookie
        name = cookie.partition(";")[0]
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            foreign = {"Origin": "http://evil.example", "Cookie": name}
            await browser.ws_connect(f"{site.url}/ws/{'0' * 32}", headers=foreign)
    assert site.consoles == []


async def test_a_dropped_socket_comes_back_to_the_same_console(site: Site, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile") as devtools:
        await walk(site, devtools)
    wait_until(lambda: site.consoles == [], "the end of the console's process")


async def walk(site: Site, devtools: int) -> None:
    async with first_page(devtools) as page:
        await page.call("Page.enable")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=_SPY)
        await page.call("Page.navigate", url=site.url)
        await page.until("document.getElementById('token')", "the question for the token")
        await page.value(f"document.getElementById('token').value = '{TOKEN}'; document.forms[0].submit()")
        await page.until("window.seen && window.seen.includes('● live')", "the live console")
        await page.value("document.querySelector('.xterm-helper-textarea').focus()")
        await page.press("2")
        await page.until("window.seen.includes('rt-node-03')", "the nodes")
        consoles = site.consoles
        assert len(consoles) == 1

        await page.value("window.old = true; window.sockets[0].close()")
        await page.until("!window.old && window.seen && window.seen.includes('rt-node-03')", "the nodes again")
        assert site.consoles == consoles
        await page.value("document.querySelector('.xterm-helper-textarea').focus()")
        await page.press("q")
        await page.until("document.body.innerText.includes('has ended')", "the end")
