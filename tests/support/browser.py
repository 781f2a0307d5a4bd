"""A real Chromium without a window, driven over the DevTools protocol."""

import asyncio
import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp

from tests.support.real import program, wait_until

#: An upper bound: a busy machine is no defect of what is tested.
_SECONDS: Final = 60.0


class Page:
    """The one page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        #: WebSockets that were opened since the call of Network.enable.
        self.sockets = 0
        #: Address and referrer of each request since then.
        self.requested: list[tuple[str, str]] = []

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One call of the protocol; events that come between are noted or dropped."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(_SECONDS):
            while True:
                answer = json.loads(await self._socket.receive_str())
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer
                    found: dict[str, Any] = answer["result"]
                    return found
                self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        self.sockets += event.get("method") == "Network.webSocketHandshakeResponseReceived"
        if event.get("method") == "Network.requestWillBeSent":
            request = event["params"]["request"]
            self.requested.append((request["url"], request["headers"].get("Referer", "")))

    async def value(self, expression: str) -> Any:
        """What an expression is worth in the page."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return result["result"].get("value")

    async def until(self, expression: str, what: str) -> None:
        """Wait until an expression holds; while the page is loaded anew it does not."""
        try:
            async with asyncio.timeout(_SECONDS):
                while not await self._holds(expression):  # noqa: ASYNC110 - another program's state
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{what} was not seen") from None

    async def until_connected(self) -> None:
        """Wait until the page has a WebSocket."""
        async with asyncio.timeout(_SECONDS):
            while not self.sockets:
                await self.value("1")
                await asyncio.sleep(0.05)

    async def _holds(self, expression: str) -> bool:
        try:
            return await self.value(f"!!({expression})") is True
        except AssertionError:
            return False  # The page went away while it was asked.

    async def press(self, key: str) -> None:
        """One printable key."""
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    async def press_named(self, key: str, code: int) -> None:
        """One key that prints nothing, by its name and its number in Windows: Tab is 9, Escape 27."""
        for kind in ("rawKeyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def press_enter(self) -> None:
        """What buttons and forms wait for."""
        enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **enter)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **enter)

    async def picture(self) -> bytes:
        """What is shown, as PNG."""
        return base64.b64decode((await self.call("Page.captureScreenshot"))["data"])


@contextmanager
def chromium(folder: Path, *options: str) -> Iterator[int]:
    """A browser with a profile of its own in `folder`, gone at the end; the port of its DevTools. Further options are
    the browser's."""
    argv = [program("chromium", "chromium"), "--headless=new", "--no-first-run", "--disable-gpu", "--disable-sync"]
    argv += ["--disable-background-networking", "--disable-component-update", "--disable-default-apps"]
    argv += ["--no-sandbox"] if os.geteuid() == 0 else []
    argv += [
        "--window-size=1200,800",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        *options,
        "about:blank",
    ]
    child = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    told = folder / "DevToolsActivePort"
    try:
        wait_until(lambda: told.is_file() and told.read_text().count("\n") > 0, "the browser's start")
        yield int(told.read_text().splitlines()[0])
    finally:
        child.terminate()
        try:
            child.wait(90)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@asynccontextmanager
async def first_page(port: int) -> AsyncIterator[Page]:
    """The page that the browser began with."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [each for each in await answer.json() if each["type"] == "page"]
        async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            yield Page(socket)
