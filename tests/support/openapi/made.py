"""The contract of each daemon as it is made now."""

from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from tests.support.openapi.documents import document
from tests.support.openapi.planes import PLANES


async def contract_of(daemon: str) -> str:
    """The text that is to be checked in."""
    with TemporaryDirectory() as folder:
        async with PLANES[daemon](Path(folder)) as plane:
            made = document(plane)
    return orjson.dumps(made, option=orjson.OPT_INDENT_2).decode() + "\n"
