"""What keeps a user from filling the disk.

Two ways, the first that the machine allows: a sparse ext4 image for each user, mounted at `{root}/{userId}`, in which
writes end hard at the quota and what is used is known without looking at a file; else plain folders, whose quota is
looked at now and then and holds through the node alone. Both give the container the same folder.
"""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final, Protocol

from daemons.workspace.adapters.confined import exchange
from daemons.workspace.ports import HomeError, Usage

_SECONDS: Final = 60.0
#: No device works and no program gains rights on it; times of reading, which caches are thinned out by, are written
#: once a day, and not at once.
_OPTIONS: Final = "loop,nosuid,nodev,relatime,lazytime"
#: What an image is called at the end while it is made.
_DRAFT: Final = ".new"


class Quota(Protocol):
    """A way to bound what a user stores."""

    @property
    def kind(self) -> str:
        """Its name, as the node reports it."""
        ...

    def prepare(self, user_id: str, folder: Path) -> None:
        """The folder is there, and bounded. Raises HomeError, OSError."""
        ...

    def usage(self, user_id: str, folder: Path) -> Usage:
        """Raises OSError."""
        ...

    def rest(self, user_id: str, folder: Path) -> None:
        """Let go of what holds the folder. Raises HomeError, OSError."""
        ...

    def erase(self, user_id: str, folder: Path) -> None:
        """Raises HomeError, OSError."""
        ...

    def put_aside(self, user_id: str, folder: Path, name: str) -> None:
        """Nobody finds the files any more, but they are kept under that name. Raises HomeError, OSError."""
        ...

    def drop(self, name: str) -> None:
        """What was put aside is gone for good. Raises OSError."""
        ...

    def spare(self, folder: Path, name: str) -> None:
        """An empty folder, bounded as the user's, whatever was there. Raises HomeError, OSError."""
        ...

    def drop_spare(self, folder: Path) -> None:
        """What is spare is gone for good. Raises HomeError, OSError."""
        ...

    def names(self, root: Path) -> set[str]:
        """Of all that users' folders are kept under, also of what never came to be a folder. Raises OSError."""
        ...

    def take(self, user_id: str, folder: Path, spare: Path, name: str) -> None:
        """The spare folder is the user's from now on, at once; the former one is under the name. Raises HomeError,
        OSError."""
        ...


class ImageQuota:
    """A file system of its own for each user, in a sparse file that no user can reach."""

    kind: Final = "image"

    def __init__(self, images: Path, most_bytes: int) -> None:
        self._images = images
        self._most = most_bytes

    def prepare(self, user_id: str, folder: Path) -> None:
        """Raises HomeError, OSError."""
        image = self._images / f"{user_id}.img"
        if not image.exists():
            self._make(image)
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not os.path.ismount(folder):
            _run("mount", "-o", _OPTIONS, str(image), str(folder))

    def usage(self, user_id: str, folder: Path) -> Usage:
        """Raises OSError."""
        found = os.statvfs(folder)
        used, inodes = (found.f_blocks - found.f_bfree) * found.f_frsize, found.f_files - found.f_ffree
        return Usage(used, found.f_blocks * found.f_frsize, inodes, found.f_files)

    def rest(self, user_id: str, folder: Path) -> None:
        """Blocks that were freed go back to the disk, which no other file system does by itself."""
        if os.path.ismount(folder):
            _run("fstrim", str(folder))

    def erase(self, user_id: str, folder: Path) -> None:
        """Raises HomeError, OSError."""
        if os.path.ismount(folder):
            _run("umount", str(folder))
        (self._images / f"{user_id}.img").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()

    def put_aside(self, user_id: str, folder: Path, name: str) -> None:
        """Raises HomeError, OSError."""
        if os.path.ismount(folder):
            _run("umount", str(folder))
        with contextlib.suppress(FileNotFoundError):
            (self._images / f"{user_id}.img").rename(self._images / name)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()

    def drop(self, name: str) -> None:
        """Raises OSError."""
        (self._images / name).unlink(missing_ok=True)

    def spare(self, folder: Path, name: str) -> None:
        """Raises HomeError, OSError."""
        if os.path.ismount(folder):
            _run("umount", str(folder))
        self.drop(name)
        self._make(self._images / name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _run("mount", "-o", _OPTIONS, str(self._images / name), str(folder))

    def drop_spare(self, folder: Path) -> None:
        """Raises HomeError, OSError."""
        if os.path.ismount(folder):
            _run("umount", str(folder))
        self.drop(folder.name)
        _draft(self._images / folder.name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()

    def names(self, root: Path) -> set[str]:
        """Raises OSError."""
        return _names(root) | {name.removesuffix(_DRAFT) for name in _names(self._images)}

    def take(self, user_id: str, folder: Path, spare: Path, name: str) -> None:
        """Raises HomeError, OSError."""
        for mounted in (spare, folder):
            if os.path.ismount(mounted):
                _run("umount", str(mounted))
        changed_places(self._images, spare.name, f"{user_id}.img", name)
        with contextlib.suppress(FileNotFoundError):
            spare.rmdir()

    def _make(self, image: Path) -> None:
        """Whole or not at all: what a crash left behind has another name."""
        draft = _draft(image)
        image.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with draft.open("wb") as file:
            os.truncate(file.fileno(), self._most)
        # No blocks are kept for root: a quota is the user's, to the last byte.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(draft))
        draft.replace(image)


class SoftQuota:
    """Plain folders. Nothing stops a program from writing on; the node refuses what goes through it. What is put aside
    lies beside the users' folders."""

    kind: Final = "soft"

    def __init__(self, root: Path, most_bytes: int) -> None:
        self._root = root
        self._most = most_bytes

    def prepare(self, user_id: str, folder: Path) -> None:
        """Raises OSError."""
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)

    def usage(self, user_id: str, folder: Path) -> Usage:
        """Walks all of it. Raises OSError."""
        return Usage(_bytes_below(folder), self._most)

    def rest(self, user_id: str, folder: Path) -> None:
        """Nothing is held."""

    def erase(self, user_id: str, folder: Path) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)

    def put_aside(self, user_id: str, folder: Path, name: str) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            folder.rename(self._root / name)

    def drop(self, name: str) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / name)

    def spare(self, folder: Path, name: str) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700, parents=True)

    def drop_spare(self, folder: Path) -> None:
        """Raises OSError."""
        self.drop(folder.name)

    def names(self, root: Path) -> set[str]:
        """Raises OSError."""
        return _names(root)

    def take(self, user_id: str, folder: Path, spare: Path, name: str) -> None:
        """Raises OSError."""
        changed_places(self._root, spare.name, folder.name, name)


def changed_places(folder: Path, spare: str, live: str, aside: str) -> None:
    """What is spare is live afterwards, and what was live is aside; at no moment is nothing live, or a mixture, nor is
    what was live called spare, which may be swept away. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if (folder / live).exists():
            os.rename(spare, aside, src_dir_fd=handle, dst_dir_fd=handle)
            exchange(handle, aside, handle, live)
        else:
            os.rename(spare, live, src_dir_fd=handle, dst_dir_fd=handle)
        os.fsync(handle)
    finally:
        os.close(handle)


def _draft(image: Path) -> Path:
    return image.with_suffix(_DRAFT)


def _names(folder: Path) -> set[str]:
    """None of a folder that nothing was put into yet."""
    try:
        return {each.name for each in folder.iterdir()}
    except FileNotFoundError:
        return set()


def _bytes_below(folder: Path) -> int:
    """What the files take on the disk; links are not followed, and what goes meanwhile is not counted."""
    total = 0
    for parent, _, names, handle in os.fwalk(folder, follow_symlinks=False):
        del parent
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(name, dir_fd=handle, follow_symlinks=False).st_blocks * 512
    return total


def _run(*argv: str) -> None:
    """Raises HomeError with the program's own words."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HomeError(f"{argv[0]} did not end well: {error}") from error
    if done.returncode:
        raise HomeError(f"{argv[0]} failed: {done.stderr.strip()[:300] or f'exit status {done.returncode}'}")


def images_work(folder: Path) -> str:
    """Why this machine cannot give users file systems of their own; empty when it can. Tried with a small one."""
    trial, mounted = ImageQuota(folder, 4 * 1024**2), folder / "trial"
    try:
        trial.prepare("0", mounted)
    except (HomeError, OSError) as error:
        return str(error)
    finally:
        with contextlib.suppress(HomeError, OSError):
            trial.erase("0", mounted)
    return ""
