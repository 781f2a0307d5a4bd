"""`funai smoke`: does the whole path work here and now? One line per step; exit code 0 only if all held."""

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from console.cli.outcome import FAILED, USAGE
from console.cli.output import Output
from console.cli.walk import Broken, Skipped, Step, Walk
from console.cli.working_copy import GitFailed
from console.connect import admin
from console.live.refusals import explain
from console.settings import NotConfigured, read, read_owner
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import ClientError, Transport

app = typer.Typer(rich_markup_mode=None)
_LOGS: Final = "the files in logs/ of the data folder"


@app.command()
def smoke(
    output: Annotated[
        Output, typer.Option("--output", "-o", help="table for people, json for programs.")
    ] = Output.TABLE,
) -> None:
    """Walk the whole path: push, deploy, look, change under load, cancel, a project of each template.

    The exit code is 0 only if all held. A template whose base image is not to be had is skipped and named.
    """
    try:
        held = asyncio.run(_walk(as_json=output in (Output.JSON, Output.NDJSON)))
    except NotConfigured as problem:
        typer.echo(f"funai: {problem}", err=True)
        raise typer.Exit(USAGE) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(0 if held else FAILED)


async def _walk(*, as_json: bool) -> bool:
    settings = read()
    owner = read_owner(settings)
    client = admin(settings)
    report = _Report(as_json=as_json)
    async with client.transport, Transport(owner.api_url, bearer(owner.user_token)) as transport:
        with tempfile.TemporaryDirectory(prefix="funai-smoke-") as folder:
            walk = Walk(admin=client, api=ApiClient(transport), owner=owner, folder=Path(folder))
            held = await _all_hold(walk, report)
    report.end(held=held)
    return held


async def _all_hold(walk: Walk, report: "_Report") -> bool:
    for name, work in walk.steps():
        started = time.monotonic()
        try:
            found = await work()
        except Skipped as error:
            report.skipped(name, str(error))
            continue
        except Broken as error:
            report.broken(name, str(error), error.look_at)
            return False
        except ClientError as error:
            report.broken(name, explain(error, "a call failed"), _LOGS)
            return False
        except (GitFailed, OSError) as error:
            report.broken(name, str(error), f"logs/git.log in the data folder, and {_LOGS}")
            return False
        report.held(Step(name, time.monotonic() - started, found))
    return True


class _Report:
    """What is printed: a line per step as it ends, or one JSON document at the end."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._document: dict[str, Any] = {"ok": False, "steps": [], "skipped": []}

    def held(self, step: Step) -> None:
        self._document["steps"].append({"name": step.name, "seconds": round(step.seconds, 3), "found": step.found})
        self._line(f"ok      {step.name:<26} {step.seconds:6.2f} s  {step.found}")

    def skipped(self, name: str, why: str) -> None:
        self._document["skipped"].append({"name": name, "why": why})
        self._line(f"SKIPPED {name:<26} {why}")

    def broken(self, name: str, problem: str, look_at: str) -> None:
        self._document["broken"] = {"name": name, "problem": problem, "lookAt": look_at}
        self._line(f"BROKEN  {name:<26} {problem}\n        look at: {look_at}")

    def end(self, *, held: bool) -> None:
        self._document["ok"] = held
        if self._as_json:
            sys.stdout.write(orjson.dumps(self._document).decode() + "\n")
        else:
            total = sum(step["seconds"] for step in self._document["steps"])
            names = ", ".join(each["name"] for each in self._document["skipped"])
            beside = f", besides what was skipped: {names}" if names else ""
            self._line(f"everything held in {total:.1f} s{beside}" if held else "the path is broken at the step above")

    def _line(self, text: str) -> None:
        if not self._as_json:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
