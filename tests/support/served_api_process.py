"""`python -m tests.support.served_api_process FOLDER PORT SECRET USER=TOKEN...`: an API that a test may kill."""

import asyncio
import sys
from pathlib import Path

from daemons.api.services.moving import Pace
from tests.support.served_api import served_api


async def main(folder: str, port: str, secret: str, *users: str) -> None:
    """Serve until killed."""
    pace = Pace(at_once=2, keep_seconds=3600, pause_seconds=0.1, lease_seconds=2)
    tokens = {int(user): token for user, _, token in (each.partition("=") for each in users)}
    async with served_api(Path(folder), secret, tokens, int(port), pace=pace):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
