"""Schemathesis against a daemon that is really served: whatever it sends, no 5xx, no answer that its contract lacks."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import orjson

from tests.support.openapi.places import ROOT, checked_in
from tests.support.openapi.served import EVERYWHERE, Served

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
#: What is signed is signed whatever it carries.
_OF_TOKENS: Final = "ignored_auth"
_SEED: Final = "20260101"
_HOOKS: Final = "tests.support.openapi.hooks"
#: One thread makes the requests: where two parse Python at once, as Hypothesis does to name a filter, CPython 3.11 may
#: answer the one with the recursion depth of the other (`SystemError: AST constructor recursion depth mismatch`).
_WORKERS: Final = "1"


async def findings(served: Served, folder: Path, examples: int) -> str:
    """What it finds wrong, in its own words; nothing when there is nothing. `examples` are made for each operation
    beside those that cover its parameters one by one. Streams without an end are left out."""
    settings = folder / "schemathesis.toml"
    await asyncio.to_thread(settings.write_text, _settings(served), "utf-8")
    bounds = ("--seed", _SEED, "--max-examples", str(examples), "--workers", _WORKERS, "--request-timeout", "120")
    options = ("--phases", "examples,coverage,fuzzing", "--exclude-by", "/x-endless == true", "--warnings", "off")
    calm = ("--suppress-health-check", "all")
    argv = (
        "run",
        str(checked_in(served.daemon)),
        "--url",
        served.url,
        "--checks",
        ",".join(CHECKS if served.secret else (*CHECKS, _OF_TOKENS)),
        *bounds,
        *options,
        *calm,
        *served.options,
    )
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from schemathesis.cli import schemathesis; schemathesis()",
        "--config-file",
        str(settings),
        *argv,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": _HOOKS,
            "FUNAI_KNOWN": orjson.dumps({**EVERYWHERE, **served.known}).decode(),
            "FUNAI_SIGNED_WITH": served.secret,
            "FUNAI_DELIVERIES_SIGNED_WITH": served.delivery_secret,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    return said.decode() if running.returncode else ""


def _settings(served: Served) -> str:
    """Proofs stand in a file, as secrets should."""
    expected = ["2xx", "3xx", "4xx", *(str(status) for status in served.unreachable)]
    lines = ["[headers]", *(f"{_quoted(name)} = {_quoted(text)}" for name, text in served.proofs.items())]
    return "\n".join([*lines, "[checks.not_a_server_error]", f"expected-statuses = {_quoted(expected)}", ""])


def _quoted(value: object) -> str:
    return orjson.dumps(value).decode()
