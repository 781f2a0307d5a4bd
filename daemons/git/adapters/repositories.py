"""Bare repositories on disk, at DIR/{owner}/{name}.git."""

import asyncio
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from daemons.git.domain.commands import Service
from protocol.pushes import BRANCHES

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
_GIT_SECONDS: Final = 20.0
_EACH: Final = "--format=%(objectname) %(refname)"
_AUTHOR: Final = "Fun AI Studio <platform@funai.local>"


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
        """Make an empty one."""
        await self._make(repository, {})

    async def ensure(self, repository: str, files: Mapping[str, bytes]) -> bool:
        """It is there afterwards, with these files unless it had a branch before: whether it was made."""
        if not await self.exists(repository):
            await self._make(repository, files)
            return True
        if files and not await self.branches(repository):
            try:
                await self._begin(self.path(repository), files)
            except OSError:
                # Somebody pushed first: then theirs is what it begins with.
                if not await self.branches(repository):
                    raise
        return False

    async def branches(self, repository: str) -> Mapping[str, str] | None:
        """The commit of each branch; None when there is no such repository."""
        if not await self.exists(repository):
            return None
        found = await _git(["--git-dir", str(self.path(repository)), "for-each-ref", _EACH, BRANCHES])
        lines = (line.split(" ", 1) for line in found.decode().splitlines())
        return {name.removeprefix(BRANCHES): commit for commit, name in lines}

    async def _make(self, repository: str, files: Mapping[str, bytes]) -> None:
        """Beside its place, then moved there, so that nobody ever sees half a repository."""
        place = self.path(repository)
        draft = place.with_name(f".{place.name}.{secrets.token_hex(8)}")
        try:
            await asyncio.to_thread(place.parent.mkdir, parents=True, exist_ok=True)
            await _git(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(draft)])
            if files:
                await self._begin(draft, files)
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

    async def _begin(self, place: Path, files: Mapping[str, bytes]) -> None:
        """A first commit with these files; refused by git when there is another."""
        stream = f"commit {BRANCHES}main\ncommitter {_AUTHOR} now\n".encode()
        stream += _said(b"Begin with the platform's files\n")
        for path, content in sorted(files.items()):
            stream += f"M 100644 inline {path}\n".encode() + _said(content)
        await _git(["--git-dir", str(place), "fast-import", "--quiet", "--date-format=now"], stream)


def _said(content: bytes) -> bytes:
    return f"data {len(content)}\n".encode() + content + b"\n"


async def _git(argv: Sequence[str], given: bytes | None = None) -> bytes:
    """What git says. Raises OSError with its words when it fails."""
    child = await asyncio.create_subprocess_exec(
        "git",
        *argv,
        stdin=asyncio.subprocess.DEVNULL if given is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(),
    )
    try:
        async with asyncio.timeout(_GIT_SECONDS):
            found, said = await child.communicate(given)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise OSError(f"git failed: {said.decode(errors='replace').strip()}")
    return found


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
