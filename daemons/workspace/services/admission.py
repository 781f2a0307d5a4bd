"""Lets visitors into private previews: tickets for links, passes for whoever came by one, and an end to all of them."""

import asyncio
import secrets
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakValueDictionary

from daemons.kit.clock import Clock
from daemons.workspace.domain.passes import (
    NotAdmitted,
    Pass,
    Rule,
    Rules,
    admits,
    first_pass,
    opened,
    renewed,
    sealed,
)
from daemons.workspace.ports.runs import RuleRecords
from protocol.workspace_previews import Visibility

TICKET_SECONDS: Final = 60
_MOST_TICKETS: Final = 16


@dataclass(frozen=True, slots=True)
class _Ticket:
    user_id: str
    app_id: str
    generation: int
    until: int


class Admission:
    """Who may see which preview of this node."""

    def __init__(self, records: RuleRecords, key: bytes, clock: Clock) -> None:
        """`key` signs passes; who has it can make them."""
        self._records = records
        self._key = key
        self._clock = clock
        self._rules: dict[str, Rules] = {}
        self._tickets: dict[str, _Ticket] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def recover(self) -> None:
        """Take up what the last process knew. Raises RecordError."""
        self._rules = {rules.user_id: rules for rules in await self._records.load()}

    def rule(self, user_id: str, app_id: str) -> Rule:
        """Who may see the app."""
        return self.rules(user_id).of(app_id)

    def rules(self, user_id: str) -> Rules:
        """Those of all the user's apps that have any."""
        return self._rules.get(user_id, Rules(user_id))

    async def adopt(self, rules: Rules) -> None:
        """As they were where the workspace came from. Raises RecordError."""
        async with self._turn(rules.user_id):
            await self._records.save(rules)
            self._rules[rules.user_id] = rules

    async def show(self, user_id: str, app_id: str, visibility: Visibility) -> Rule:
        """Change who may see it. Whoever was let in before is not any more. Raises RecordError."""
        return await self._change(user_id, app_id, visibility)

    async def revoke(self, user_id: str, app_id: str) -> Rule:
        """Links and passes that were given out lead nowhere. Raises RecordError."""
        return await self._change(user_id, app_id, None)

    def ticket(self, user_id: str, app_id: str) -> str:
        """Lets whoever shows it first in, once and for a minute."""
        now = self._now()
        self._tickets = {text: one for text, one in self._tickets.items() if one.until > now}
        own = [text for text, one in self._tickets.items() if one.user_id == user_id]
        for text in own[: max(0, len(own) - _MOST_TICKETS + 1)]:
            del self._tickets[text]
        made = secrets.token_urlsafe(32)
        self._tickets[made] = _Ticket(user_id, app_id, self.rule(user_id, app_id).generation, now + TICKET_SECONDS)
        return made

    def enter(self, app_id: str, ticket: str) -> str:
        """The pass for it, once. Raises NotAdmitted."""
        found, now = self._tickets.get(ticket), self._now()
        if found is None or found.app_id != app_id:
            raise NotAdmitted("the link was used, is over, or is another app's")
        del self._tickets[ticket]
        if found.until <= now or found.generation != self.rule(found.user_id, app_id).generation:
            raise NotAdmitted("the link is over")
        return sealed(self._key, first_pass(found.user_id, app_id, found.generation, now))

    def admit(self, user_id: str, app_id: str, shown: str) -> str:
        """Whoever shows this may see the app; the pass to show from now on, or nothing. Raises NotAdmitted."""
        rule, now = self.rule(user_id, app_id), self._now()
        if rule.visibility is Visibility.PUBLIC:
            return ""
        found: Pass | None = opened(self._key, shown)
        if found is None or not admits(found, user_id, app_id, rule, now):
            raise NotAdmitted("the preview is private; open it from the studio")
        later = renewed(found, now)
        return sealed(self._key, later) if later else ""

    async def _change(self, user_id: str, app_id: str, visibility: Visibility | None) -> Rule:
        async with self._turn(user_id):
            rules = self.rules(user_id)
            before = rules.of(app_id)
            if visibility is before.visibility:
                return before
            rule = replace(before, visibility=visibility or before.visibility, generation=before.generation + 1)
            rules = rules.having(app_id, rule)
            await self._records.save(rules)
            self._rules[user_id] = rules
            return rule

    def _turn(self, user_id: str) -> asyncio.Lock:
        lock = self._turns.get(user_id)
        if lock is None:
            lock = self._turns[user_id] = asyncio.Lock()
        return lock

    def _now(self) -> int:
        return int(self._clock.now().timestamp())
