"""Several pieces of work in one transaction, with the statements that they have in common sent as one.

The works run side by side. When each of them waits for the database, what they ask for goes out: the same named
statement of several works as one statement, if a rule says how; else one after the other. So code that reads, decides
and writes for one thing stays as it is, and a transaction for fifty costs little more than one for a single thing.

A work sees what its own transaction sees, the others' writes included: two that lock the same row must not share one.
A rule says what a statement locks; the second that asks for it is told `LATER`. A work that fails after it wrote, a
unique index or a guard that refuses one row of many: all that raises `NotTogether`, the transaction is to be rolled
back, and each work carried out alone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from daemons.kit.batches import LATER, Done, Failed, Later
from daemons.kit.database import (
    Conflicted,
    DatabaseUnavailable,
    Duplicate,
    Result,
    StatementFailed,
    Values,
)
from daemons.kit.sql import Session

R = TypeVar("R")
_CLOCK: Final = ""


class NotTogether(Exception):
    """These works cannot share a transaction; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rows by one column: `together` is the statement that takes a list `:keys` of it. Every other parameter must be
    the same for all. `locks` names what the rows are, if the statement locks them."""

    together: str
    column: str
    locks: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One row written by each: the statement repeats what stands between `/*each*/` and `/*end*/`, or the row after
    VALUES. `together` is another statement to use. With `exact`, each must change its row. `locks` names what the row
    of `key` is, if others are not to have it in the same transaction."""

    together: str | None = None
    exact: bool = True
    key: str | None = None
    locks: str | None = None


Rules = Mapping[str, Lookup | Change]


@dataclass(slots=True)
class _Member:
    wrote: bool = False


@dataclass(slots=True)
class _Asked:
    member: _Member
    values: Values
    answer: "asyncio.Future[Result]"


class _MemberSession(Session):
    """The shared transaction as one of the works sees it."""

    def __init__(self, shared: "Lockstep", member: _Member) -> None:
        self._shared = shared
        self._member = member

    async def now(self) -> int:
        """The database's clock in epoch milliseconds."""
        return (await self._shared.ask(self._member, _CLOCK, {})).generated

    async def execute(self, query: str, values: Values) -> Result:
        return await self._shared.ask(self._member, query, values)


@dataclass(slots=True)
class Lockstep:
    """One shared transaction; `session` is the real one."""

    session: Session
    rules: Rules
    _running: int = 0
    _asked: dict[str, list[_Asked]] = field(default_factory=dict)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _held: dict[tuple[str, object], _Member] = field(default_factory=dict)
    _broken: Exception | None = None

    async def run(self, works: Sequence[Callable[[Session], Awaitable[R]]]) -> list[Done[R] | Failed | Later]:
        """One outcome per work; commit afterwards. Raises NotTogether, and what the database raises for all."""
        self._running = len(works)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._carry_out(work)) for work in works]
            await self._serve()
        if self._broken is not None:
            raise self._broken
        return [task.result() for task in tasks]

    async def ask(self, member: _Member, query: str, values: Values) -> Result:
        """The result of a work's statement."""
        if self._broken is not None:
            raise self._broken
        asked = _Asked(member, values, asyncio.get_running_loop().create_future())
        self._asked.setdefault(query, []).append(asked)
        self._look()
        return await asked.answer

    async def _carry_out(self, work: Callable[[Session], Awaitable[R]]) -> Done[R] | Failed | Later:
        member = _Member()
        try:
            return Done(await work(_MemberSession(self, member)))
        except _Taken:
            self._end(member.wrote)
            return LATER
        except Exception as error:  # noqa: BLE001 - it is the outcome of this work alone
            self._end(member.wrote)
            return Failed(error)
        finally:
            self._running -= 1
            self._look()

    def _end(self, wrote: bool) -> None:
        if wrote and self._broken is None:
            self._broken = NotTogether()

    def _look(self) -> None:
        if sum(map(len, self._asked.values())) == self._running:
            self._ready.set()

    async def _serve(self) -> None:
        while self._running:
            await self._ready.wait()
            self._ready.clear()
            asked, self._asked = self._asked, {}
            for query, each in asked.items():
                try:
                    await self._flush(query, each)
                except (Conflicted, DatabaseUnavailable, NotTogether) as error:
                    self._break(error, asked)
                except (Duplicate, StatementFailed):
                    self._break(NotTogether(), asked)
                if self._broken is not None:
                    break

    def _break(self, error: Exception, asked: Mapping[str, Sequence[_Asked]]) -> None:
        self._broken = self._broken or error
        for each in asked.values():
            for one in each:
                if not one.answer.done():
                    one.answer.set_exception(self._broken)

    async def _flush(self, query: str, asked: Sequence[_Asked]) -> None:
        if query == _CLOCK:
            now = await self.session.now()
            for one in asked:
                one.answer.set_result(Result(generated=now))
            return
        rule = self.rules.get(query)
        free = asked if rule is None else [one for one in asked if self._takes(one, rule)]
        if isinstance(rule, Lookup) and len(free) > 1:
            await self._look_up(rule, free)
        elif isinstance(rule, Change) and len(free) > 1:
            await self._write(rule, query, free)
        else:
            for one in free:
                await self._alone(query, one)

    def _takes(self, one: _Asked, rule: Lookup | Change) -> bool:
        column = rule.column if isinstance(rule, Lookup) else rule.key
        if rule.locks is None or column is None:
            return True
        holder = self._held.setdefault((rule.locks, one.values[column]), one.member)
        if holder is not one.member:
            one.answer.set_exception(_Taken())
        return holder is one.member

    async def _alone(self, query: str, one: _Asked) -> None:
        try:
            result = await self.session.execute(query, one.values)
        except Duplicate as error:
            one.answer.set_exception(error)
            return
        rule = self.rules.get(query)
        if self.session.writes(query) and (rule is None or rule.locks is None):
            one.member.wrote = True
        one.answer.set_result(result)

    async def _look_up(self, rule: Lookup, asked: Sequence[_Asked]) -> None:
        common = {name: value for name, value in asked[0].values.items() if name != rule.column}
        if any({**common, rule.column: one.values[rule.column]} != dict(one.values) for one in asked):
            raise NotTogether
        wanted = {one.values[rule.column] for one in asked}
        numbers = sorted(key for key in wanted if isinstance(key, int))
        keys: Sequence[str] | Sequence[int] = numbers or sorted(map(str, wanted))
        found: dict[object, list[Mapping[str, object]]] = {}
        for row in (await self.session.execute(rule.together, {**common, "keys": keys})).rows:
            found.setdefault(str(row[rule.column]), []).append(row)
        for one in asked:
            rows = found.get(str(one.values[rule.column]), [])
            one.answer.set_result(Result(rows, len(rows)))

    async def _write(self, rule: Change, query: str, asked: Sequence[_Asked]) -> None:
        rows = [one.values for one in asked]
        if rule.key is not None:
            rows.sort(key=lambda values: str(values[rule.key or ""]))
        result = await self.session.execute_each(rule.together or query, rows)
        if rule.exact and result.changed != len(asked):
            raise NotTogether
        for one in asked:
            one.member.wrote = one.member.wrote or rule.locks is None
            one.answer.set_result(Result((), 1, result.generated))


class _Taken(Exception):
    """Another work of the same transaction has locked it."""
