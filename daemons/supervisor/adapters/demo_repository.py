"""The demo user's working copy: the demo files, committed and pushed with the git command."""

import asyncio
import os
import shlex
import shutil
from pathlib import Path
from typing import Final

from daemons.supervisor.ports import DemoApp
from daemons.supervisor.services.demo import DemoFailed

FILES: Final = Path(__file__).resolve().parent.parent / "demo"
_SECONDS: Final = 60.0


class WorkingCopy:
    """A clone of our own below the data folder."""

    def __init__(self, folder: Path, *, key: Path, known_hosts: Path) -> None:
        self._folder = folder
        self._key = key
        self._known_hosts = known_hosts

    async def push(self, app: DemoApp) -> None:
        """Commit what changed in the demo files and push main. Raises DemoFailed with git's own words."""
        copy = self._folder / app.id
        await asyncio.to_thread(shutil.copytree, FILES, copy, dirs_exist_ok=True)
        await self._git(copy, "init", "--quiet", "--initial-branch=main")
        await self._git(copy, "add", "--all")
        await self._git(copy, "commit", "--quiet", "--allow-empty", "--message", "Say hello from the demo app")
        await self._git(copy, "push", "--quiet", "--force", app.repository, "HEAD:refs/heads/main")

    async def _git(self, copy: Path, *arguments: str) -> None:
        process = await asyncio.create_subprocess_exec(
            "git",
            "-C",
            str(copy),
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
            raise DemoFailed(f"git {arguments[0]} did not end within {_SECONDS:g} s") from None
        if process.returncode != 0:
            raise DemoFailed(f"git {arguments[0]} failed: {output.decode('utf-8', 'replace').strip()[-500:]}")

    def _environment(self) -> dict[str, str]:
        ssh = (
            "ssh", "-F", "/dev/null", "-i", str(self._key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self._known_hosts}", "-o", "StrictHostKeyChecking=yes",
        )  # fmt: skip
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "GIT_SSH_COMMAND": shlex.join(ssh),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Demo User",
            "GIT_AUTHOR_EMAIL": "demo@funai.local",
            "GIT_COMMITTER_NAME": "Demo User",
            "GIT_COMMITTER_EMAIL": "demo@funai.local",
        }
