"""`python -m tests.openapi`: write the contracts of all daemons, `daemons/*/openapi.json`, as their routes and the wire
models have them. A change of these files is a change of the contract: it is read in the review."""

import asyncio
import sys

from tests.support.openapi.made import contract_of
from tests.support.openapi.places import checked_in
from tests.support.openapi.planes import PLANES


def _main() -> None:
    for daemon in PLANES:
        path, text = checked_in(daemon), asyncio.run(contract_of(daemon))
        changed = not path.exists() or path.read_text("utf-8") != text
        path.write_text(text, "utf-8")
        sys.stdout.write(f"{path.parent.name}: {'written' if changed else 'as it was'}\n")


if __name__ == "__main__":
    _main()
