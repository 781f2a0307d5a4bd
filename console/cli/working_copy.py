"""A working copy that the smoke check commits and pushes from, with the git command, as a user would."""

import asyncio
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SECONDS: Final = 60.0
_WHO: Final = {"NAME": "Smoke Check", "EMAIL": "smoke@funai.local"}


class GitFailed(Exception):
    """A git command failed; the message holds its own last words."""


class WorkingCopy:
    """One folder, one remote, one key."""

    def __init__(self, folder: Path, *, remote: str, key: Path, known_hosts: Path) -> None:
        self._folder = folder
        self._remote = remote
        self._key = key
        self._known_hosts = known_hosts

    async def push(self, files: Mapping[str, str], message: str) -> str:
        """Commit exactly these files, push them to main and return the commit. Raises GitFailed."""
        await asyncio.to_thread(_put, self._folder, files)
        await self._git("init", "--quiet", "--initial-branch=main")
        await self._git("add", "--all")
        await self._git("commit", "--quiet", "--allow-empty", "--message", message)
        await self._git("push", "--quiet", "--force", self._remote, "HEAD:refs/heads/main")
        return await self._git("rev-parse", "HEAD")

    async def _git(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "git",
            "-C",
            str(self._folder),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environment(),
        )
        try:
            async with asyncio.timeout(_SECONDS):
                output, _ = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise GitFailed(f"git {arguments[0]} did not end within {_SECONDS:g} s") from None
        text = output.decode("utf-8", "replace").strip()
        if process.returncode != 0:
            raise GitFailed(f"git {arguments[0]} failed: {text[-500:]}")
        return text

    def _environment(self) -> dict[str, str]:
        ssh = [
            "ssh", "-F", "/dev/null", "-i", str(self._key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self._known_hosts}", "-o", "StrictHostKeyChecking=yes",
        ]  # fmt: skip
        who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _WHO.items()}
        quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        return {"PATH": os.defpath, "GIT_SSH_COMMAND": shlex.join(ssh), **who, **quiet}


def _put(folder: Path, files: Mapping[str, str]) -> None:
    """These files and no others, at the root of the working copy."""
    for path in folder.iterdir():
        if path.is_file() and path.name not in files:
            path.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
