"""Where users' files are, and what keeps a user from filling the disk.

Two ways, the first that the machine allows: a sparse ext4 image for each user, mounted at `{root}/{userId}`, in which
writes end hard at the quota and what is used is known without looking at a file; else plain folders, whose quota is
looked at now and then and holds through the node alone. Both give the container the same folder.
"""

import asyncio
import contextlib
import errno
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

from daemons.workspace.ports import HomeError, Usage

Result = TypeVar("Result")

_SECONDS: Final = 60.0
#: What is the user's; `lost+found` of a file system is nobody's.
_FOLDERS: Final = ("apps", "run", ".home")
#: No device works and no program gains rights on it; times of reading are not written.
_OPTIONS: Final = "loop,nosuid,nodev,noatime"


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
        folder.rmdir()

    def _make(self, image: Path) -> None:
        """Whole or not at all: what a crash left behind has another name."""
        draft = image.with_suffix(".new")
        image.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        with draft.open("wb") as file:
            os.truncate(file.fileno(), self._most)
        # No blocks are kept for root: a quota is the user's, to the last byte.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(draft))
        draft.replace(image)


class SoftQuota:
    """Plain folders. Nothing stops a program from writing on; the node refuses what goes through it."""

    kind: Final = "soft"

    def __init__(self, most_bytes: int) -> None:
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
        shutil.rmtree(folder)


class LocalHomes:
    """The port `Homes` on this machine."""

    def __init__(self, root: Path, gates: Path, quota: Quota, uid: int) -> None:
        self._root = root
        self._gates = gates
        self._quota = quota
        self._uid = uid
        self._turns: dict[str, asyncio.Lock] = {}

    @property
    def quota(self) -> str:
        """How users' disks are bounded: `image` or `soft`."""
        return self._quota.kind

    async def ready(self, user_id: str) -> Path:
        """Raises HomeError."""
        return await self._do(self._ready, user_id)

    async def gates(self, user_id: str) -> Path:
        """Raises HomeError."""
        return await self._do(self._gates_of, user_id)

    async def usage(self, user_id: str) -> Usage:
        """Raises HomeError."""
        return await self._do(lambda user: self._quota.usage(user, self._ready(user)), user_id)

    async def rest(self, user_id: str) -> None:
        """Raises HomeError."""
        await self._do(lambda user: self._quota.rest(user, self._folder(user)), user_id)

    async def erase(self, user_id: str) -> None:
        """Raises HomeError."""
        await self._do(lambda user: self._quota.erase(user, self._folder(user)), user_id)

    def _ready(self, user_id: str) -> Path:
        folder = self._folder(user_id)
        self._quota.prepare(user_id, folder)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid != self._uid:
                os.fchown(handle, self._uid, self._uid)
            with contextlib.suppress(OSError):
                os.rmdir("lost+found", dir_fd=handle)
            for name in _FOLDERS:
                _own_folder(handle, name, self._uid)
        finally:
            os.close(handle)
        return folder

    def _gates_of(self, user_id: str) -> Path:
        folder = self._gates / self._folder(user_id).name
        folder.mkdir(parents=True, exist_ok=True)
        # The container's user looks in, whatever the node's umask is.
        folder.chmod(0o755)
        return folder

    def _folder(self, user_id: str) -> Path:
        if not user_id.isdecimal():
            raise HomeError("a user's id holds characters that no id has")
        return self._root / user_id

    async def _do(self, work: Callable[[str], Result], user_id: str) -> Result:
        """In a thread, a user at a time: two mounts of one file system must not meet."""
        async with self._turns.setdefault(user_id, asyncio.Lock()):
            try:
                return await asyncio.to_thread(work, user_id)
            except OSError as error:
                raise HomeError(f"the files of user {user_id} cannot be reached: {error.strerror or error}") from error


def _own_folder(parent: int, name: str, uid: int) -> None:
    """A folder of the user's, and nothing else: whatever has taken its place is put aside, never followed."""
    try:
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=parent)
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        os.rename(name, f"{name}.{secrets.token_hex(4)}", src_dir_fd=parent, dst_dir_fd=parent)
        _own_folder(parent, name, uid)
        return
    try:
        if os.fstat(handle).st_uid != uid:
            os.fchown(handle, uid, uid)
    finally:
        os.close(handle)


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
