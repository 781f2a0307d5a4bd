"""Files that a crash leaves as they were or as they are to be, never half."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file at once and durably: temporary file, fsync, rename, fsync of the folder. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def replace_at_once(path: Path, content: bytes) -> None:
    """Replace a file at once, for whoever reads it from now on; `make_durable` is to follow. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)


def make_durable(path: Path) -> None:
    """What the file says and that it is there survive the machine. Raises OSError."""
    for part, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        opened = os.open(part, flags)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
