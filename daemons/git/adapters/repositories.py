"""Bare repositories on disk, at DIR/{owner}/{name}.git."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from daemons.git.domain.commands import Service

#: Given on the command line of every git process, so that they hold for repositories made long ago as well.
POLICY: Final[Mapping[str, str]] = {
    "core.hooksPath": os.devnull,
    "receive.fsckObjects": "true",
    "transfer.fsckObjects": "true",
    "receive.maxInputSize": "512m",
    "receive.autogc": "false",
    "receive.unpackLimit": "1",
    "uploadpack.allowFilter": "true",
    "uploadpack.allowReachableSHA1InWant": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadarchive.allowUnreachable": "false",
    "pack.threads": "1",
}
_CREATE_SECONDS: Final = 20.0


class DiskRepositories:
    """The repositories below one folder. Names were validated before they come here."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def path(self, repository: str) -> Path:
        """Where the repository is or would be."""
        return self._root / f"{repository}.git"

    def argv(self, service: Service, repository: str) -> list[str]:
        """The git process that serves the repository."""
        policy = [part for key, value in POLICY.items() for part in ("-c", f"{key}={value}")]
        strict = ["--strict"] if service is Service.UPLOAD_PACK else []
        return ["git", *policy, service.removeprefix("git-"), *strict, str(self.path(repository))]

    async def exists(self, repository: str) -> bool:
        """Whether it is there."""
        return await asyncio.to_thread((self.path(repository) / "HEAD").is_file)

    async def create(self, repository: str) -> None:
        """Make it beside its place and move it there, so that nobody ever sees half a repository."""
        place = self.path(repository)
        draft = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
            await self._init(draft)
            await asyncio.to_thread(_move, draft, place)
        finally:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    async def remove(self, repository: str) -> None:
        """Move it aside, where nobody finds it, and remove it there."""
        place = self.path(repository)
        aside = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            await asyncio.to_thread(place.rename, aside)
        except FileNotFoundError:
            return
        await asyncio.to_thread(shutil.rmtree, aside)

    async def sweep(self) -> None:
        """Nobody else makes or removes any while this is done: it is called before the first request."""
        for left in await asyncio.to_thread(lambda: list(self._root.glob("*/.*.git.*"))):
            await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)

    async def _init(self, draft: Path) -> None:
        argv = ["git", "init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(draft)]
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
        )
        try:
            async with asyncio.timeout(_CREATE_SECONDS):
                _, said = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode != 0:
            raise OSError(f"git init failed: {said.decode(errors='replace').strip()}")


def environment(protocol: str | None = None) -> dict[str, str]:
    """The whole environment of a git process: nothing of ours, nothing of the machine's configuration."""
    clean = {
        "PATH": os.defpath,
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
    }
    return clean | ({"GIT_PROTOCOL": protocol} if protocol else {})


def _move(draft: Path, place: Path) -> None:
    """Raises OSError unless the repository is in place afterwards, ours or another request's."""
    try:
        draft.rename(place)
    except OSError:
        if not (place / "HEAD").is_file():
            raise
