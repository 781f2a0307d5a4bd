"""The contract of each daemon as it is made now, and as it was checked in."""

from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from tests.support.openapi.documents import document
from tests.support.openapi.places import checked_in
from tests.support.openapi.planes import DAEMONS
from tests.support.openapi.watching import unwatched


async def written(name: str) -> tuple[Path, str]:
    """Where a daemon's contract is checked in, and its text as it is made now."""
    with TemporaryDirectory() as folder, unwatched():
        async with DAEMONS[name](Path(folder)) as served:
            made = document(served.plane)
    return checked_in(name), orjson.dumps(made, option=orjson.OPT_INDENT_2).decode() + "\n"
