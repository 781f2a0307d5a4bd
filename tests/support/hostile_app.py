"""An app whose owner tries to reach what is outside of it: links of every kind, pipes, devices, second names of others'
files, and a folder that turns into a link and back while the node works.

Outside lies a canary that everybody may read and write, so that nothing but the node's own care protects it.
"""

import ctypes
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.workspace_calls import UID

_EXCHANGE = 2
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class HostileApp:
    """The app's folder and the one outside."""

    app: Path
    outside: Path
    canary: bytes

    def plant(self) -> None:
        """Whatever of it is missing."""
        outside = self.outside
        links = {
            "link-file": outside / "canary",
            "link-dir": outside,
            "link-up": Path("../../../../outside"),
            "link-inner": Path("safe"),
            "chain": Path("link-dir"),
            "loop": Path("loop"),
            "proc-root": Path(f"/proc/self/root{outside}"),
            "proc-cwd": Path("/proc/self/cwd"),
            "proc-fd": Path("/proc/self/fd"),
            "etc": Path("/etc"),
        }
        for folder in ("safe", "flip"):
            self._folder(folder)
        for name, target in links.items():
            self._try(lambda at, to=target: at.symlink_to(to), name)
        self._try(lambda at: at.symlink_to(outside / "canary"), "safe/canary")
        self._try(lambda at: at.open("xb").close(), "safe/file")
        self._try(lambda at: os.link(outside / "canary", at), "hard")
        self._try(os.mkfifo, "pipe")
        if os.geteuid() == 0:
            self._try(lambda at: os.mknod(at, 0o666 | stat.S_IFCHR, os.makedev(1, 5)), "zero")
        self._try(lambda at: at.symlink_to(outside), "flop")

    def _folder(self, name: str) -> None:
        self._try(lambda at: at.mkdir(), name)

    def _try(self, make: object, name: str) -> None:
        path = self.app / name
        with suppress(FileExistsError, FileNotFoundError, NotADirectoryError, OSError):
            assert callable(make)
            # A call may have moved a link to where the folder was: this must not be what writes outside.
            if path.parent.resolve() != path.parent:
                return
            make(path)
            if name != "hard":
                os.lchown(path, UID, UID)

    @contextmanager
    def flipping(self) -> Iterator[None]:
        """`flip` is a folder and a link to the outside in turn, as fast as it goes."""
        ended = threading.Event()
        pair = [os.fsencode(self.app / name) for name in ("flip", "flop")]

        def flip() -> None:
            while not ended.is_set():
                _libc.renameat2(-100, pair[0], -100, pair[1], _EXCHANGE)

        thread = threading.Thread(target=flip, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def seen(self) -> dict[str, tuple[int, int, int, bytes]]:
        """Everything outside: names, modes, owners and contents."""
        found = {}
        for path in (self.outside, *sorted(self.outside.rglob("*"))):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (status.st_mode, status.st_uid, status.st_mtime_ns if content else 0, content)
        return found


def hostile_app(app: Path, root: Path) -> HostileApp:
    """The app's tree below `root/homes/{user}/apps`, with the outside at `root/outside`."""
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | 0o111)
    outside = root / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    canary = b"CANARY-" + secrets.token_hex(16).encode()
    for name in ("canary", "inner"):
        (outside / name).write_bytes(canary)
        (outside / name).chmod(0o666)
    (outside / "folder").mkdir()
    (outside / "folder").chmod(0o777)
    hostile = HostileApp(app, outside, canary)
    hostile.plant()
    return hostile
