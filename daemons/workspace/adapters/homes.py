"""Where users' files are, each user's in a folder of their own that a quota bounds."""

import asyncio
import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from daemons.workspace.adapters.quotas import Quota, SoftQuota
from daemons.workspace.domain.files import DiskFull
from daemons.workspace.ports import HomeError, Usage

Result = TypeVar("Result")

_USER: Final = re.compile(r"[1-9][0-9]{0,18}")
_SPARE: Final = re.compile(r"\.spare-([1-9][0-9]{0,18})-([1-9][0-9]{0,18})")
#: What a plain folder holds is looked at again after so long, and after so long when it seems full.
_SEEN_SECONDS: Final = 15.0
_AGAIN_SECONDS: Final = 1.0
#: What is the user's; `lost+found` of a file system is nobody's.
_FOLDERS: Final = ("apps", "run", ".home")


class LocalHomes:
    """The port `Homes` on this machine."""

    def __init__(self, root: Path, gates: Path, quota: Quota, uid: int) -> None:
        self._root = root
        self._gates = gates
        self._quota = quota
        self._uid = uid
        self._turns: dict[str, asyncio.Lock] = {}
        self._rooms: dict[str, tuple[float, int]] = {}

    @property
    def quota(self) -> str:
        """How users' disks are bounded: `image` or `soft`."""
        return self._quota.kind

    async def ready(self, user_id: str) -> Path:
        """Raises HomeError."""
        return await self._do(self._ready, user_id)

    async def present(self, user_id: str) -> bool:
        """Raises HomeError."""
        return await self._do(lambda user: self._folder(user).exists(), user_id)

    async def users(self) -> tuple[str, ...]:
        """Whoever has a folder here. Raises HomeError."""
        try:
            return await asyncio.to_thread(self._users)
        except OSError as error:
            raise HomeError(f"{self._root} cannot be read: {error.strerror or error}") from error

    async def gates(self, user_id: str) -> Path:
        """Raises HomeError."""
        return await self._do(self._gates_of, user_id)

    async def usage(self, user_id: str) -> Usage:
        """Raises HomeError."""
        return await self._do(lambda user: self._quota.usage(user, self._ready(user)), user_id)

    async def left(self, user_id: str) -> int | None:
        """Raises HomeError."""
        if self._quota.kind != SoftQuota.kind:
            return None
        usage = await self.usage(user_id)
        self._rooms[user_id] = (asyncio.get_running_loop().time(), max(0, usage.total_bytes - usage.used_bytes))
        return self._rooms[user_id][1]

    async def take(self, user_id: str, count: int) -> None:
        """Looks at what there is when that is some time ago, and before it refuses. Raises DiskFull, HomeError."""
        if self._quota.kind != SoftQuota.kind:
            return
        seen_at, room = self._rooms.get(user_id, (-_SEEN_SECONDS, 0))
        age = asyncio.get_running_loop().time() - seen_at
        if age >= _SEEN_SECONDS or (count > room and age >= _AGAIN_SECONDS):
            room = await self.left(user_id) or 0
            seen_at = self._rooms[user_id][0]
        if count > room:
            raise DiskFull("the workspace's disk quota is used up; remove something first")
        self._rooms[user_id] = (seen_at, room - count)

    def freed(self, user_id: str) -> None:
        """What there was is not what there is."""
        self._rooms.pop(user_id, None)

    async def rest(self, user_id: str) -> None:
        """Raises HomeError."""
        await self._do(lambda user: self._quota.rest(user, self._folder(user)), user_id)

    async def erase(self, user_id: str) -> None:
        """Raises HomeError."""
        await self._do(lambda user: self._quota.erase(user, self._folder(user)), user_id)

    async def put_aside(self, user_id: str, move: int) -> None:
        """Raises HomeError."""
        await self._do(lambda user: self._quota.put_aside(user, self._folder(user), _aside(user, move)), user_id)

    async def drop(self, user_id: str, move: int) -> None:
        """Raises HomeError."""

        def work(user: str) -> None:
            self._quota.drop(_aside(user, move))
            self._drop_spare(user, move)

        await self._do(work, user_id)

    async def spare(self, user_id: str, move: int) -> Path:
        """Raises HomeError."""
        return await self._do(lambda user: self._spare(user, move), user_id)

    async def spares(self) -> tuple[tuple[str, int], ...]:
        """Raises HomeError."""
        try:
            names = await asyncio.to_thread(self._quota.names, self._root)
        except OSError as error:
            raise HomeError(f"{self._root} cannot be read: {error.strerror or error}") from error
        return tuple((found[1], int(found[2])) for name in sorted(names) if (found := _SPARE.fullmatch(name)))

    async def drop_spare(self, user_id: str, move: int) -> None:
        """Raises HomeError."""
        await self._do(lambda user: self._drop_spare(user, move), user_id)

    async def take_spare(self, user_id: str, move: int) -> None:
        """Raises HomeError."""
        spare = self._root / _spare(user_id, move)
        await self._do(lambda user: self._quota.take(user, self._folder(user), spare, _aside(user, move)), user_id)

    def _spare(self, user_id: str, move: int) -> Path:
        folder = self._folder(user_id).with_name(_spare(user_id, move))
        self._quota.spare(folder, folder.name)
        return folder

    def _drop_spare(self, user_id: str, move: int) -> None:
        self._quota.drop_spare(self._folder(user_id).with_name(_spare(user_id, move)))

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

    def _users(self) -> tuple[str, ...]:
        if not self._root.exists():
            return ()
        return tuple(sorted(path.name for path in self._root.iterdir() if _USER.fullmatch(path.name)))

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


def _aside(user_id: str, move: int) -> str:
    """A name that is no user's."""
    return f".moved-{user_id}-{move}"


def _spare(user_id: str, move: int) -> str:
    return f".spare-{user_id}-{move}"


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
