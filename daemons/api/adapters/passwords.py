"""Passwords as argon2id hashes. Each takes memory and a core for a while, so few are made at once and few wait."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from daemons.api.ports.accounts import Match, TooManyLogins

T = TypeVar("T")

#: OWASP's Password Storage Cheat Sheet, argon2id: at least 19 MiB, two passes, one lane.
LEAST_MEMORY_KIB: Final = 19_456
LEAST_PASSES: Final = 2
LEAST_LANES: Final = 1
_MOST_WAITING: Final = 64


@dataclass(frozen=True, slots=True)
class Hardness:
    """What a hash costs: KiB of memory, passes over it, lanes; and how many are made at once."""

    memory_kib: int = LEAST_MEMORY_KIB
    passes: int = LEAST_PASSES
    lanes: int = LEAST_LANES
    at_once: int = 2


def _hasher(hard: Hardness) -> PasswordHasher:
    return PasswordHasher(time_cost=hard.passes, memory_cost=hard.memory_kib, parallelism=hard.lanes, type=Type.ID)


@cache
def _nobodys(hard: Hardness) -> str:
    """What is compared for users who do not exist; made once, for it takes as long as any other."""
    return _hasher(hard).hash(secrets.token_hex(16))


class Argon2Passwords:
    """The port `Passwords`; to be closed."""

    def __init__(self, hardness: Hardness | None = None) -> None:
        hard = hardness or Hardness()
        self._hasher = _hasher(hard)
        self._threads = ThreadPoolExecutor(hard.at_once, thread_name_prefix="argon2")
        self._most = hard.at_once + _MOST_WAITING
        self._under_way = 0
        self._nobodys = _nobodys(hard)

    async def close(self) -> None:
        """Whatever waits is given up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """A hash that says how it was made."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def check(self, password_hash: str | None, password: str) -> Match:
        """Whether it fits; without a hash it does not, and that takes as long to say."""
        found = await self._in_turn(lambda: self._match(password_hash or self._nobodys, password))
        return found if password_hash is not None else Match.NO

    def _match(self, password_hash: str, password: str) -> Match:
        try:
            self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return Match.NO
        return Match.STALE if self._hasher.check_needs_rehash(password_hash) else Match.YES

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._most:
            raise TooManyLogins("too many people log in at this moment; try again in a few seconds")
        self._under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._under_way -= 1
