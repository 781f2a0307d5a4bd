"""One operation on one app's repository: its programs, its time, and the words it gets back."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from daemons.kit.engine.errors import EngineError
from daemons.workspace.domain import git as words
from daemons.workspace.domain import git_programs as programs
from daemons.workspace.domain.programs import Program
from daemons.workspace.ports.git import Commands, Outcome, Passages, RepositoryKeys, TooSlow

logger = logging.getLogger(__name__)

_MOST_BYTES: Final = 256 * 1024
_CLEAN_SECONDS: Final = 10.0
#: A key outlives its operation by so much when nobody takes it back.
_SPARE_SECONDS: Final = 15.0
_NO_GIT: Final = (
    "the workspace's image has no {what}; operators: put {package} into the image that FUNAI_WORKSPACE_IMAGE names"
)


class GitFailed(Exception):
    """Git could not do it; the message has its own words, without secrets."""


class NoGit(Exception):
    """The image of workspaces lacks what git needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Said:
    """How a program ended and what it wrote."""

    status: int | None
    output: bytes
    problem: str
    whole: bool

    @property
    def good(self) -> bool:
        """Whether it did what it was told."""
        return self.status == 0

    @property
    def line(self) -> str:
        """Its output as one line."""
        return self.output.decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Reach:
    """What operations work with; `seconds` is how long one may take in all."""

    commands: Commands
    passages: Passages
    keys: RepositoryKeys
    seconds: float


class Work:
    """One operation."""

    def __init__(self, reach: Reach, user_id: str, app_id: str) -> None:
        self.user_id = user_id
        self.app_id = app_id
        self.folder = programs.folder(app_id)
        self.url = reach.keys.url(user_id, app_id)
        self._reach = reach
        self._until = asyncio.get_running_loop().time() + reach.seconds

    async def git(self, *arguments: str, given: bytes | None = None, most: int = _MOST_BYTES) -> Said:
        """Git in the app's folder. Raises NoGit, TooSlow, EngineError."""
        return await self.program(programs.git(self.app_id, arguments, fed=given is not None), given or b"", most)

    async def must(self, *arguments: str, given: bytes | None = None) -> Said:
        """The same; also raises GitFailed."""
        return checked(await self.git(*arguments, given=given))

    async def matching(self, *arguments: str) -> Said:
        """Git whose paths are patterns. Raises as `must`."""
        return checked(await self.program(programs.git(self.app_id, arguments, plain=False), b"", _MOST_BYTES))

    async def script(self, text: str, *arguments: str, given: bytes | None = None) -> Said:
        """Raises as `git`."""
        program = programs.script(text, *arguments, fed=given is not None)
        return await self.program(program, given or b"", _MOST_BYTES)

    async def remote(self, *arguments: str, beside: bool = False) -> Said:
        """Git with a key for the app's repository, and for as long as it runs; `beside`: not in the app's folder.
        Raises as `git`, and KeysUnavailable."""
        tag = f"git{secrets.token_hex(8)}"
        inner = programs.git(None if beside else self.app_id, arguments)
        lent = self._reach.keys.lent(self.user_id, self.app_id, self._left() + _SPARE_SECONDS)
        async with self._reach.passages.opened(self.user_id) as port, lent as loan:
            program = programs.with_key(inner, tag, port, loan.server, loan.known_hosts)
            try:
                return await self.program(program, loan.private_key, _MOST_BYTES, tag)
            except TooSlow:
                await self._clean(programs.without_key(tag))
                raise

    async def program(self, program: Program, given: bytes, most: int, tag: str | None = None) -> Said:
        """Raises NoGit, TooSlow, EngineError."""
        outcome = await self._reach.commands.run(
            self.user_id,
            program,
            given=given,
            seconds=self._left(),
            most_bytes=most,
            tag=tag or f"git{secrets.token_hex(8)}",
        )
        return _said(outcome)

    async def standing(self) -> words.Standing | None:
        """How the working copy stands; None for a folder without a repository. Raises GitFailed."""
        found = await self.git("status", "--porcelain=v2", "--branch", "--untracked-files=normal", "-z")
        if not found.good:
            if "not a git repository" in found.problem or "cannot change to" in found.problem:
                return None
            raise GitFailed(found.problem)
        return self._read(words.standing, found.output)

    async def commit_of(self, name: str) -> str | None:
        """The commit that a name leads to."""
        found = await self.git("rev-parse", "--quiet", "--verify", "--end-of-options", f"{name}^{{commit}}")
        return words.checked_sha(found.line) if found.good else None

    async def contains(self, newer: str, older: str) -> bool:
        """Whether the history of one commit holds the other."""
        return (await self.git("merge-base", "--is-ancestor", older, newer)).good

    async def fetch(self) -> Said:
        """What the git server has is known afterwards, below refs/remotes/origin. Raises GitFailed."""
        every = "+refs/heads/*:refs/remotes/origin/*"
        return checked(await self.remote("fetch", "--quiet", "--prune", "--no-tags", "--", self.url, every))

    async def discard(self, path: str) -> None:
        """A folder that this operation made is gone, if that can be."""
        await self._clean(Program(("rm", "-rf", "--", path), programs.APPS))

    async def _clean(self, program: Program) -> None:
        tag = f"git{secrets.token_hex(8)}"
        try:
            await self._reach.commands.run(
                self.user_id, program, given=b"", seconds=_CLEAN_SECONDS, most_bytes=1024, tag=tag
            )
        except (TooSlow, EngineError) as error:
            logger.warning("git left something behind", extra={"user_id": self.user_id, "error": str(error)})

    def _left(self) -> float:
        left = self._until - asyncio.get_running_loop().time()
        if left <= 0:
            raise TooSlow(f"it took longer than {self._reach.seconds:.0f} s and was ended")
        return left

    def _read(self, reader: Callable[[bytes], words.Standing], output: bytes) -> words.Standing:
        try:
            return reader(output)
        except words.Unreadable as error:
            raise GitFailed(str(error)) from None


def checked(found: Said) -> Said:
    """What a program said that did what it was told. Raises GitFailed."""
    if not found.good:
        raise GitFailed(found.problem)
    return found


def _said(outcome: Outcome) -> Said:
    """Raises NoGit."""
    errors = words.said(outcome.errors.decode("utf-8", "replace"))
    if outcome.status == programs.NOT_FOUND:
        raise NoGit(_NO_GIT.format(what="git", package="git and openssh-client"))
    if outcome.status and "cannot run ssh" in errors:
        raise NoGit(_NO_GIT.format(what="ssh", package="openssh-client"))
    problem = errors or words.said(outcome.output.decode("utf-8", "replace"))
    ended = "was ended" if outcome.status is None else f"ended with exit status {outcome.status}"
    return Said(outcome.status, outcome.output, problem or f"git {ended}", outcome.whole)
