"""The server's own key: made once, never replaced, because clients pin it."""

import os
from pathlib import Path

import asyncssh

from daemons.kit.settings import Misconfigured


def load_or_make(path: Path) -> asyncssh.SSHKey:
    """The host key. Raises Misconfigured when it is unreadable, not a private key, or open to other accounts."""
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"the host key {path} is open to other accounts; run: chmod 600 {path}")
        return asyncssh.read_private_key(path)
    except asyncssh.KeyImportError as error:
        raise Misconfigured(
            f"the host key {path} is not a private key without passphrase ({error}); set GIT_HOST_KEY_PATH to another"
        ) from None
    except OSError as error:
        raise Misconfigured(f"the host key {path} cannot be read or made: {error.strerror}") from None


def _make(path: Path) -> None:
    """Write the pair so that a process that starts at the same time keeps the one that came first."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="funai-git")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.export_private_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
        path.with_name(f"{path.name}.pub").write_bytes(key.export_public_key())
    finally:
        draft.unlink()
