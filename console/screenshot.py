"""`python -m console.screenshot VIEW FILE COLUMNS ROWS`: the console drawn once, on live data, into an SVG file.

A program of its own, so that one-shot commands never load Textual.
"""

import asyncio
import re
import sys
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Final

from console.app import ConsoleApp
from console.connect import admin
from console.live.catalog import view_of
from console.settings import ConsoleSettings, NotConfigured, read

#: Whoever opens the picture must not call a font server by it; it falls back to a monospaced font of the viewer's.
_WEB_FONT: Final = re.compile(r"\s*@font-face \{[^}]*\}")
_WAIT_SECONDS: Final = 10.0


class Unshown(Exception):
    """There was nothing to draw; the message says why."""


def draw(settings: ConsoleSettings, view: str, size: tuple[int, int]) -> str:
    """The view as SVG text, `size` in columns and rows. Raises Unshown when no data came within 10 s."""
    client = admin(settings)
    return asyncio.run(_draw(ConsoleApp(client, settings.place), client.transport, view, size))


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


def main(arguments: list[str]) -> int:
    """The exit code: 0 drawn, 2 usage, 3 no data."""
    try:
        view, path, columns, rows = arguments
        text = draw(read(), view_of(view).name, (int(columns), int(rows)))
        Path(path).write_text(text, "utf-8")
    except Unshown as problem:
        sys.stderr.write(f"funai: {problem}\n")
        return 3
    except (NotConfigured, LookupError, ValueError, OSError) as problem:
        sys.stderr.write(f"funai: no screenshot was made: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
