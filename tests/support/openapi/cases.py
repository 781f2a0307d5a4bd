"""What holds for the contract of every daemon."""

import difflib
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from openapi_spec_validator import validate

from daemons.kit.openapi import PATH
from tests.support.openapi.fuzzing import findings
from tests.support.openapi.made import contract_of
from tests.support.openapi.places import checked_in
from tests.support.openapi.served import Served

_MOST_LINES: Final = 80
_FILLED: Final = str.maketrans("", "", "{}")


async def unchanged(daemon: str) -> None:
    """The contract is the one that was checked in, and it is OpenAPI."""
    made, path = await contract_of(daemon), checked_in(daemon)
    validate(orjson.loads(made))
    known = path.read_text("utf-8") if path.exists() else ""
    changes = list(difflib.unified_diff(known.splitlines(), made.splitlines(), "checked in", "made", lineterm="", n=4))
    more = "" if len(changes) <= _MOST_LINES else f"\n... and {len(changes) - _MOST_LINES} lines more"
    assert not changes, (
        f"the contract of {daemon} changed; if that is on purpose, run `python -m tests.openapi` and check in "
        f"daemons/{daemon}/openapi.json with the change:\n" + "\n".join(changes[:_MOST_LINES]) + more
    )


async def shown(served: Served) -> None:
    """Anybody reads the contract from the daemon, and without a proof nothing that wants one is open."""
    async with httpx.AsyncClient(base_url=served.url, trust_env=False) as client:
        answer = await client.get(PATH)
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
        document = answer.json()
        assert document == orjson.loads(checked_in(served.daemon).read_bytes())
        for method, path in _guarded(document):
            refused = await client.request(method, path.translate(_FILLED))
            assert refused.status_code == 401, f"{method} {path}: {refused.status_code}"


async def kept(served: Served, folder: Path, examples: int) -> None:
    """Schemathesis finds no answer that the contract lacks."""
    found = await findings(served, folder, examples)
    assert not found, found


def _guarded(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if operation["security"]
    ]
