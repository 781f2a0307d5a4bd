"""Fetches one commit with the git program over SSH.

The environment is made from nothing: no system or user configuration of git or ssh, no prompt, no protocol but ssh,
one key, strict host keys. The reference is asked for by its full name, so that a tag never hides a branch and nothing
can be read as an option; a second try is made only when the server says that it has no such branch.
"""

import asyncio
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemons.runner.adapters import process
from daemons.runner.domain.failures import WorkFailed, disk_is_full
from daemons.runner.domain.plan import Source
from daemons.runner.ports import LogSink
from protocol.errors import JobReason

_SECONDS: Final = 600.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_NO_SUCH_REF: Final = ("couldn't find remote ref", "could not find remote ref", "not our ref")
_OPTIONS: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.version=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
)
_WHY: Final = (
    ("host key verification failed", "the git host's key is not the one in GIT_KNOWN_HOSTS_PATH"),
    ("permission denied (publickey", "the git host does not accept the runner's key (GIT_SSH_KEY_PATH)"),
    ("connection refused", "the git host refuses connections on that port"),
    ("connection timed out", "the git host does not answer"),
    ("could not resolve hostname", "the git host's name cannot be resolved"),
)


@dataclass(frozen=True, slots=True)
class GitKeys:
    """The runner's private key and the host keys it trusts."""

    key: Path
    known_hosts: Path


class GitRepository:
    """Checks out sources, any number at a time; nothing is shared between two calls."""

    def __init__(self, keys: GitKeys, *, path: str = "/usr/local/bin:/usr/bin:/bin", seconds: float = _SECONDS) -> None:
        self._keys = keys
        self._path = path
        self._seconds = seconds

    async def checkout(self, source: Source, folder: Path, log: LogSink) -> str:
        """Put the tree into `folder/source`; answers its commit. Raises WorkFailed."""
        home, tree = folder / "home", folder / "source"
        await asyncio.to_thread(_make, home, tree)
        git = _Git(tree, self._environment(home), log)
        try:
            async with asyncio.timeout(self._seconds):
                await git.run("init", "--quiet", "--template=")
                await self._fetch(git, source)
                await git.run("checkout", "--quiet", "--force", "--detach", "FETCH_HEAD", "--")
                commit = await git.head()
        except TimeoutError:
            raise WorkFailed(
                JobReason.CLONE_FAILED, f"{source.url} could not be fetched within {self._seconds:g} s"
            ) from None
        except OSError as error:
            raise WorkFailed(JobReason.CLONE_FAILED, f"git could not be started on this runner: {error}") from error
        if not _COMMIT.fullmatch(commit):
            raise WorkFailed(JobReason.CLONE_FAILED, f"git named no commit for {source.ref} of {source.url}")
        return commit

    async def _fetch(self, git: "_Git", source: Source) -> None:
        for ref in source.full_refs():
            code, output = await git.call(
                "fetch", "--progress", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", source.url, ref
            )
            if code == 0:
                return
            if not any(words in output.lower() for words in _NO_SUCH_REF):
                raise WorkFailed(
                    JobReason.CLONE_FAILED, f"{source.url} could not be fetched: {_why(output)}", exit_code=code
                )
        raise WorkFailed(
            JobReason.CLONE_FAILED,
            f"{source.url} has no branch, tag or commit {source.ref}",
            advice="Push that branch, tag or commit, or deploy another reference.",
        )

    def _environment(self, home: Path) -> Mapping[str, str]:
        ssh = [
            "ssh",
            "-F",
            "none",
            "-i",
            str(self._keys.key),
            *(f"-o{option}" for option in self._ssh_options()),
        ]
        return {
            "PATH": self._path,
            "HOME": str(home),
            "LC_ALL": "C",
            # git has a shell run it: that must not stand between git and ssh, or ssh would outlive both.
            "GIT_SSH_COMMAND": f"exec {shlex.join((*process.MORTAL, *ssh))}",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ALLOW_PROTOCOL": "ssh",
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_ASKPASS": "/bin/false",
        }

    def _ssh_options(self) -> tuple[str, ...]:
        return (
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={self._keys.known_hosts}",
            "GlobalKnownHostsFile=/dev/null",
            "UpdateHostKeys=no",
            "ForwardAgent=no",
            "ClearAllForwardings=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
        )


@dataclass(frozen=True, slots=True)
class _Git:
    tree: Path
    environment: Mapping[str, str]
    log: LogSink

    async def call(self, *arguments: str) -> tuple[int, str]:
        options = [part for option in _OPTIONS for part in ("-c", option)]
        return await process.run(["git", *options, *arguments], cwd=self.tree, env=self.environment, log=self.log)

    async def run(self, command: str, *arguments: str) -> None:
        code, output = await self.call(command, *arguments)
        if code != 0:
            raise WorkFailed(JobReason.CLONE_FAILED, f"git {command} failed: {_why(output)}", exit_code=code)

    async def head(self) -> str:
        argv = ["git", "rev-parse", "--verify", "HEAD"]
        _, output = await process.run(argv, cwd=self.tree, env=self.environment, log=None)
        return output.strip()


def _make(home: Path, tree: Path) -> None:
    home.mkdir()
    tree.mkdir()


def _why(output: str) -> str:
    lowered = output.lower()
    known = next((why for words, why in _WHY if words in lowered), None)
    lines = [line for line in output.splitlines() if line.strip()]
    # The cause comes first; the last line is often only what it led to.
    full = next((line for line in lines if disk_is_full(line)), None)
    said = next((line for line in reversed(lines) if line.startswith(("fatal:", "error:", "remote:"))), None)
    why = known or full or said or (lines[-1] if lines else "git said nothing")
    # Of a file that it made but could not fill git tells no cause: the disk took no more.
    return f"{why} (no space left on device, or its quota is used up)" if "unable to write file" in why else why
