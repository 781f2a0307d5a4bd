"""`python -m console.screenshot VIEW FILE COLUMNS ROWS [THEME]`: the console drawn once, on live data, into a file.

A program of its own, so that one-shot commands never load Textual. A PNG is made by Chromium, which draws the SVG.
"""

import asyncio
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Final

from console.app import ConsoleApp
from console.connect import admin
from console.live.catalog import view_of
from console.live.themes import DARK, look_of
from console.settings import ConsoleSettings, NotConfigured, read

#: Whoever opens the picture must not call a font server by it; it falls back to a monospaced font of the viewer's.
_WEB_FONT: Final = re.compile(r"\s*@font-face \{[^}]*\}")
_WAIT_SECONDS: Final = 10.0
_SIZE: Final = re.compile(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"')
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_QUIETLY: Final = ("--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync")
_BROWSER_SECONDS: Final = 60.0


class Unshown(Exception):
    """There was nothing to draw; the message says why."""


def draw(settings: ConsoleSettings, view: str, size: tuple[int, int], look: str = DARK) -> str:
    """The view as SVG text, `size` in columns and rows. Raises Unshown when no data came within 10 s."""
    client = admin(settings)
    return asyncio.run(_draw(ConsoleApp(client, settings.place, look=look), client.transport, view, size))


async def _draw(
    app: ConsoleApp, connection: AbstractAsyncContextManager[object], view: str, size: tuple[int, int]
) -> str:
    async with connection, app.run_test(size=size) as pilot:
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                while app.main.live.model is None:
                    await pilot.pause(0.05)
        except TimeoutError:
            problem = app.main.live.link.problem or "no answer"
            raise Unshown(f"nothing to draw: {problem}; check that the platform runs") from None
        app.main.view = view
        await pilot.pause()
        with suppress(TimeoutError):
            async with asyncio.timeout(_WAIT_SECONDS):
                while not app.main.page.read(app.main.world):
                    await pilot.pause(0.05)
        await pilot.pause()
        return _WEB_FONT.sub("", app.export_screenshot(title=f"funai {view}"))


def raster(svg: str, path: Path) -> None:
    """Write the picture as PNG, in the size that it says of itself. Raises Unshown."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise Unshown(f"a PNG is made by Chromium, and there is no {' or '.join(_BROWSERS)} on PATH; write an .svg")
    size = _SIZE.search(svg)
    if size is None:
        raise Unshown("the picture does not say how large it is; write an .svg")
    width, height = (math.ceil(float(each)) for each in size.groups())
    with tempfile.TemporaryDirectory(prefix="funai-picture-") as folder:
        source, made = Path(folder) / "picture.svg", Path(folder) / "picture.png"
        source.write_text(svg, "utf-8")
        argv = [browser, *_QUIETLY, f"--user-data-dir={folder}/profile", f"--window-size={width},{height}"]
        # Its sandbox does not work for root; the picture is our own text, without scripts.
        argv += ["--no-sandbox"] if os.geteuid() == 0 else []
        argv += [f"--screenshot={made}", source.as_uri()]
        try:
            subprocess.run(
                argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_BROWSER_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unshown(
                f"{browser} did not draw the picture within {_BROWSER_SECONDS:.0f} s; write an .svg"
            ) from None
        if not made.is_file():
            raise Unshown(f"{browser} did not draw the picture; write an .svg")
        shutil.copyfile(made, path)


def main(arguments: list[str]) -> int:
    """The exit code: 0 drawn, 2 usage, 3 no data."""
    try:
        view, file, columns, rows, *look = arguments
        path = Path(file)
        settings = read()
        chosen = (look and look[0]) or look_of(settings.theme)
        text = draw(settings, view_of(view).name, (int(columns), int(rows)), chosen)
        if path.suffix == ".png":
            raster(text, path)
        else:
            path.write_text(text, "utf-8")
    except Unshown as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 3
    except (NotConfigured, LookupError, ValueError, OSError) as problem:
        sys.stderr.write(f"funai: no screenshot was made: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
