"""`funai app-logs`: what operators see of apps that run."""

import asyncio
import sys
from contextlib import aclosing
from typing import Annotated, Final

import typer

from console.cli.outcome import Failure, run
from console.cli.releases import AppArgument
from console.live.plain import PlainText, line
from protocol.client.deploy import AdminClient
from protocol.client.stream import backoff
from protocol.client.transport import Refused, Unreachable
from protocol.running import AppLogEvent, AppLogKind, AppLogQuery, OutputStream

app = typer.Typer(rich_markup_mode=None)
_TOO_MANY: Final = 429


@app.command("app-logs")
def app_logs(
    app_id: AppArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, also through deployments.")] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, max=100_000, help="Begin so many lines back.")] = 200,
) -> None:
    """Write what an app writes: its standard output to standard output, its standard error to standard error."""
    wanted = AppLogQuery(tail=tail, follow=follow)

    async def work(client: AdminClient) -> None:
        shown = _Shown()
        try:
            if follow:
                await _follow(client, app_id, wanted, shown)
            else:
                await _once(client, app_id, wanted, shown)
        finally:
            shown.finish()

    run(work, f"the log of app {app_id} cannot be read")


async def _once(client: AdminClient, app_id: str, wanted: AppLogQuery, shown: "_Shown") -> None:
    async with aclosing(client.app_log(app_id, wanted)) as events:
        async for event in events:
            shown.show(event)
            if event.kind is AppLogKind.END:
                raise Failure(f"the log of app {app_id} ended: {line(event.text)}")


async def _follow(client: AdminClient, app_id: str, wanted: AppLogQuery, shown: "_Shown") -> None:
    """Follow until interrupted; a lost line is taken up again where it broke. Raises Refused when the app is not to be
    seen any more."""
    waits, seen = backoff(0.5, 10), False
    while True:
        problem = "the stream ended"
        try:
            async with aclosing(client.app_log(app_id, wanted)) as events:
                async for event in events:
                    shown.show(event)
                    if event.cursor is not None:
                        wanted, waits = wanted.model_copy(update={"cursor": event.cursor}), backoff(0.5, 10)
                    if event.kind is AppLogKind.END:
                        problem = line(event.text)
                    seen = True
        except Unreachable as error:
            problem = str(error)
        except Refused as refusal:
            if not seen or refusal.status < _TOO_MANY:
                raise
            problem = str(refusal)
        shown.note(f"{problem}; trying again")
        await asyncio.sleep(next(waits))


class _Shown:
    """Writes output as it came into files and pipes, without control sequences to terminals."""

    def __init__(self) -> None:
        self._files = {OutputStream.STDOUT: sys.stdout, OutputStream.STDERR: sys.stderr}
        self._plain = {stream: PlainText() for stream, file in self._files.items() if file.isatty()}
        self._container = ""

    def show(self, event: AppLogEvent) -> None:
        """Output; and, for the second and every later container, that it is another."""
        if event.kind is AppLogKind.OUTPUT and event.stream is not None:
            self._write(event.stream, event.text)
        elif event.kind is AppLogKind.CONTAINER:
            if self._container not in ("", event.container):
                self.note(f"now container {line(event.container or '')}: {line(event.text)}")
            self._container = event.container or ""

    def note(self, text: str) -> None:
        """A line of our own, on standard error."""
        sys.stderr.write(f"funai: {text}\n")
        sys.stderr.flush()

    def finish(self) -> None:
        """What was held back."""
        for stream, plain in self._plain.items():
            self._put(stream, plain.feed(b"", last=True))

    def _write(self, stream: OutputStream, text: str) -> None:
        plain = self._plain.get(stream)
        self._put(stream, plain.feed(text.encode()) if plain else text)

    def _put(self, stream: OutputStream, text: str) -> None:
        self._files[stream].buffer.write(text.encode("utf-8", "replace"))
        self._files[stream].flush()
