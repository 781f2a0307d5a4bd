"""The data folder: its lock, its folders, its secrets and keys, and what it tells others about the platform."""

import contextlib
import fcntl
import json
import os
import secrets
import socket
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import asyncssh

from daemons.kit.settings import Misconfigured
from daemons.supervisor.domain import credentials
from daemons.supervisor.domain.network import HOST, Ports
from daemons.supervisor.settings import Layout


@contextlib.contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """The folder is ours alone for the block. Raises Misconfigured when another supervisor has it."""
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = layout.lock.open("a+")
    except OSError as error:
        raise Misconfigured(f"the data folder {layout.root} cannot be used: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise Misconfigured(
                f"a platform is already running from {layout.root} (process {owner}); "
                "stop it, or choose another folder with --data-dir"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def prepare(layout: Layout, ports: Ports) -> dict[str, str]:
    """Make everything that does not exist yet, and return the secrets. Raises Misconfigured when the disk refuses."""
    try:
        for folder in layout.folders():
            folder.mkdir(parents=True, exist_ok=True)
        layout.keys.chmod(0o700)
        _link_short(layout)
        known = _secrets(layout.credentials)
        _keys(layout, ports)
    except OSError as error:
        raise Misconfigured(f"the data folder {layout.root} cannot be used: {error}") from error
    return known


def publish(layout: Layout, document: Mapping[str, object]) -> None:
    """Write platform.json, which tells console and commands where everything is."""
    _write_private(layout.platform, json.dumps(document, indent=2) + "\n")


def taken(ports: Ports) -> list[str]:
    """Roles whose port somebody listens on already."""
    return [role for role, port in ports.by_role().items() if not _free(port)]


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _link_short(layout: Layout) -> None:
    """A short name for a folder whose own is too long for sockets; refuses a link that somebody else made."""
    if layout.short == layout.root:
        return
    parent = layout.short.parent
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = parent.lstat()
    if not stat.S_ISDIR(held.st_mode) or held.st_uid not in (0, os.geteuid()) or held.st_mode & 0o022:
        raise Misconfigured(
            f"{parent} must be a folder that only you can write to; remove it, or choose a shorter data folder"
        )
    with contextlib.suppress(FileExistsError):
        layout.short.symlink_to(layout.root)
    if layout.short.lstat().st_uid != os.geteuid() or layout.short.resolve() != layout.root.resolve():
        raise Misconfigured(f"{layout.short} must be a link of yours to {layout.root}; remove it and start again")


def _secrets(path: Path) -> dict[str, str]:
    known = credentials.parse(path.read_text("utf-8")) if path.exists() else {}
    complete = credentials.completed(known, lambda: secrets.token_urlsafe(32))
    if complete != known:
        _write_private(path, credentials.formatted(complete))
    path.chmod(0o600)
    return complete


def _keys(layout: Layout, ports: Ports) -> None:
    for path, comment in (
        (layout.git_host_key, "git-host"),
        (layout.runner_key, "runner-bot"),
        (layout.demo_key, "demo-user"),
    ):
        public = path.with_name(f"{path.name}.pub")
        if not path.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
            _write_private(path, key.export_private_key().decode())
            public.write_bytes(key.export_public_key())
        elif not public.exists():
            public.write_bytes(asyncssh.read_private_key(str(path)).export_public_key())
    host = layout.git_host_key.with_name(f"{layout.git_host_key.name}.pub").read_text("ascii").split()
    layout.known_hosts.write_text(f"[{HOST}]:{ports.git} {host[0]} {host[1]}\n")


def _write_private(path: Path, text: str) -> None:
    """Replace a file at once, never readable by others, never half written."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
