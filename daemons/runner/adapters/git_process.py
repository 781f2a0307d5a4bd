"""The git program as this runner runs it: an environment made from nothing, one key, strict host keys, no prompt.

No configuration of the system or the user is read, no hook and no filter runs, nothing but SSH is spoken. What is
secret stands in files that ssh opens itself: never in arguments, in the environment or in a repository's configuration.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemons.runner.adapters import process
from daemons.runner.domain.failures import disk_is_full
from daemons.runner.domain.plan import Source
from daemons.runner.ports import LogSink

_CONFIGURATION: Final = (
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.fsmonitor=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.symlinks=true",
    "protocol.version=2",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "submodule.recurse=false",
    "pack.threads=1",
    "index.threads=1",
    "checkout.workers=1",
    # One pack for each fetch, whose size can be limited, instead of thousands of files.
    "fetch.unpackLimit=1",
    "fetch.fsckObjects=true",
    # What old or careless programs wrote wrongly into commits and tags, and what harms nobody.
    *(
        f"fetch.fsck.{finding}=ignore"
        for finding in (
            "badDate",
            "badTimezone",
            "missingEmail",
            "missingNameBeforeEmail",
            "missingSpaceBeforeDate",
            "missingTaggerEntry",
            "zeroPaddedDate",
            "zeroPaddedFilemode",
        )
    ),
)
_OPTIONS: Final = tuple(part for line in _CONFIGURATION for part in ("-c", line))
_SSH_OPTIONS: Final = (
    "IdentitiesOnly=yes",
    "IdentityAgent=none",
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no",
    "ForwardAgent=no",
    "ClearAllForwardings=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
)
#: A failure with any of these comes from the other side or from the disk: a new mirror would not mend it.
_NOT_THE_MIRROR: Final = (
    "could not read from remote repository",
    "couldn't find remote ref",
    "could not find remote ref",
    "not our ref",
    "unadvertised object",
)
_NO_SUCH_REF: Final = ("couldn't find remote ref", "could not find remote ref", "not our ref", "unadvertised object")
_WHY: Final = (
    ("host key verification failed", "the git host's key is not the one in GIT_KNOWN_HOSTS_PATH"),
    (
        "permission denied (publickey",
        "the git host does not accept the key: the repository's own in RUNNER_GIT_KEYS, or else GIT_SSH_KEY_PATH",
    ),
    ("connection refused", "the git host refuses connections on that port"),
    ("connection timed out", "the git host does not answer"),
    ("could not resolve hostname", "the git host's name cannot be resolved"),
    ("invalid path", "the repository has a file whose name git refuses to write"),
)


@dataclass(frozen=True, slots=True)
class GitKeys:
    """The runner's private key and the host keys it trusts.

    A repository has a key of its own when there is a file for it in `own`: `HOST_PORT/OWNER/NAME`, without `.git`.
    """

    key: Path
    known_hosts: Path
    own: Path | None = None

    def key_for(self, source: Source) -> Path:
        """The private key that opens a repository."""
        if self.own is None:
            return self.key
        own = self.own / f"{source.host}_{source.port}" / source.path.removesuffix(".git")
        return own if own.is_file() and not own.is_symlink() else self.key


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git on one repository and one tree."""

    repository: Path
    tree: Path
    environment: Mapping[str, str]
    lock: int | None
    log: LogSink

    @property
    def _keep(self) -> tuple[int, ...]:
        return () if self.lock is None else (self.lock,)

    def _argv(self, *arguments: str) -> list[str]:
        return ["git", *_OPTIONS, f"--git-dir={self.repository}", *arguments]

    async def call(self, *arguments: str, most_bytes: int | None = None) -> tuple[int, str]:
        """Exit code and the end of the output, all of which is logged; no file may get larger than `most_bytes`."""
        limit = () if most_bytes is None else process.writing_at_most(most_bytes)
        argv = [*limit, *self._argv(*arguments)]
        return await process.run(argv, cwd=self.tree, env=self.environment, log=self.log, keep=self._keep)

    async def write(self, commit: str) -> tuple[int, str]:
        """As `call`: put the files of a commit into the tree."""
        return await self.call(f"--work-tree={self.tree}", "read-tree", "--reset", "-u", commit)

    async def answer(self, *arguments: str) -> tuple[int, str]:
        """As `call`, without logging."""
        argv = self._argv(*arguments)
        code, output = await process.run(argv, cwd=self.tree, env=self.environment, log=None, keep=self._keep)
        return code, output.strip()

    async def entries(self, take: Callable[[bytes], None], *arguments: str) -> int:
        """The exit code; `take` gets each part of an output whose parts end with NUL."""
        rest = b""

        def split(chunk: bytes) -> None:
            nonlocal rest
            *whole, rest = (rest + chunk).split(b"\0")
            for entry in whole:
                take(entry)

        return await self.output(split, *arguments)

    async def output(self, take: Callable[[bytes], None], *arguments: str) -> int:
        """The exit code; `take` gets the output in pieces of any size."""
        argv = self._argv(*arguments)
        return await process.read(argv, take, cwd=self.tree, env=self.environment, keep=self._keep)


def environment(key: Path, known_hosts: Path, home: Path, index: Path, path: str) -> Mapping[str, str]:
    """The whole environment of git for one repository."""
    ssh = ["ssh", "-F", "none", "-i", str(key)]
    ssh += [f"-o{option}" for option in (*_SSH_OPTIONS, f"UserKnownHostsFile={known_hosts}")]
    return {
        "PATH": path,
        "HOME": str(home),
        "LC_ALL": "C",
        # git has a shell run it: that must not stand between git and ssh, or ssh would outlive both.
        "GIT_SSH_COMMAND": f"exec {shlex.join((*process.MORTAL, *ssh))}",
        "GIT_SSH_VARIANT": "ssh",
        "GIT_INDEX_FILE": str(index),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": "ssh",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ASKPASS": "/bin/false",
    }


def has_no_such_ref(output: str) -> bool:
    """Whether git's words say that the server has no such reference."""
    return _has(output, _NO_SUCH_REF)


def may_be_the_mirror(output: str) -> bool:
    """Whether a failure with these words may come from what is on this machine's disk."""
    return not _has(output, _NOT_THE_MIRROR) and not disk_is_full(output)


def why(output: str) -> str:
    """Git's words, short: the cause."""
    lowered = output.lower()
    known = next((words for sign, words in _WHY if sign in lowered), None)
    lines = [line for line in output.splitlines() if line.strip()]
    # The cause comes first; the last line is often only what it led to.
    full = next((line for line in lines if disk_is_full(line)), None)
    refused = next((line for line in lines if line.startswith("error: object ")), None)
    said = refused or next((line for line in reversed(lines) if line.startswith(("fatal:", "error:", "remote:"))), None)
    words = known or full or said or (lines[-1] if lines else "git said nothing")
    # Of a file that it made but could not fill git tells no cause: the disk took no more.
    return f"{words} (no space left on device, or its quota is used up)" if "unable to write file" in words else words


def _has(output: str, signs: tuple[str, ...]) -> bool:
    lowered = output.lower()
    return any(sign in lowered for sign in signs)
