"""Where contracts are checked in."""

from pathlib import Path
from typing import Final

from daemons.kit.openapi import FILE

ROOT: Final = Path(__file__).parents[3]


def checked_in(daemon: str) -> Path:
    """The contract of a daemon."""
    return ROOT / "daemons" / daemon / FILE
