"""Secrets that people give to a command: never as an argument, which everybody can see."""

import getpass
import sys
from pathlib import Path


def read_password(path: Path | None) -> str:
    """The first line of the file or of standard input; a terminal is asked without an echo. Raises OSError."""
    if path is None and sys.stdin.isatty():
        return getpass.getpass("Password: ")
    text = path.read_text(encoding="utf-8") if path is not None else sys.stdin.readline()
    return text.split("\n", 1)[0].removesuffix("\r")
