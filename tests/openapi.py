"""`python -m tests.openapi`: write the contracts of all daemons, `daemons/*/openapi.json`, as their routes and the wire
models have them. A change of these files is a change of the contract: it is read in the review."""

import asyncio
import sys

from tests.support.openapi.made import written
from tests.support.openapi.planes import DAEMONS


async def _main() -> int:
    for name in DAEMONS:
        path, text = await written(name)
        changed = not path.exists() or path.read_text("utf-8") != text
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path.name} of {name}: {'written' if changed else 'as it was'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
