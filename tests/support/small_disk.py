"""A file system of a few megabytes, for disks that really get full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import real


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A mounted ext4 in a file."""
    mount, make = real.program("mount", "mount"), real.program("mkfs.ext4", "e2fsprogs")
    image, point = folder / "disk.img", folder / "disk"
    point.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(megabytes * 1024**2)
    subprocess.run([make, "-q", "-F", str(image)], check=True, capture_output=True)
    done = subprocess.run([mount, "-o", "loop", str(image), str(point)], capture_output=True, text=True, check=False)
    if done.returncode:
        real.missing(f"a loop-mounted file system ({done.stderr.strip()})", "nothing, but allow mounts (root)")
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)
        image.unlink()
