"""Accounts, sessions and API keys in memory: twins of the tables, with a clock that a test moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from daemons.api.domain.accounts import Account, AccountExists, Lives, NotLoggedIn, Session, UnknownAccount
from daemons.api.domain.rates import Rate
from daemons.api.ports.accounts import ApiKey, ApiKeyLimit
from protocol.accounts import Role


@dataclass
class _Token:
    session_id: str
    expires_at: int
    spent: bool = False


@dataclass
class Memory:
    """All of it; `now` is in epoch milliseconds."""

    now: int = 1_700_000_000_000
    users: set[int] = field(default_factory=set)
    accounts: dict[int, Account] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    sessions: dict[str, tuple[int, int]] = field(default_factory=dict)
    tokens: dict[str, _Token] = field(default_factory=dict)
    keys: dict[int, tuple[int, str, ApiKey]] = field(default_factory=dict)
    made_keys: int = 0
    failures: dict[str, float] = field(default_factory=dict)

    def end(self, session_id: str) -> None:
        self.sessions.pop(session_id, None)
        self.tokens = {text: token for text, token in self.tokens.items() if token.session_id != session_id}

    def end_all(self, user_id: int, keep: str | None = None) -> None:
        for session_id in [name for name, (owner, _) in self.sessions.items() if owner == user_id and name != keep]:
            self.end(session_id)

    def held(self, user_id: int) -> Account:
        if user_id not in self.accounts:
            raise UnknownAccount(f"user {user_id} has no account")
        return self.accounts[user_id]


class MemoryAccounts:
    """The port `AccountStore`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def add(self, name: str, password_hash: str, role: Role, user_id: int | None) -> Account:
        memory = self._memory
        if user_id is not None and user_id not in memory.users:
            raise UnknownAccount(f"there is no user {user_id}")
        owner = user_id or max(memory.users, default=0) + 1
        if owner in memory.accounts or any(account.name == name for account in memory.accounts.values()):
            raise AccountExists("there is an account of this name, or of this user")
        memory.users.add(owner)
        memory.accounts[owner] = Account(owner, name, role, enabled=True, created_at=memory.now)
        memory.hashes[owner] = password_hash
        return memory.accounts[owner]

    async def account(self, user_id: int) -> Account | None:
        return self._memory.accounts.get(user_id)

    async def named(self, name: str) -> tuple[Account, str] | None:
        found = (each for each in self._memory.accounts.values() if each.name == name)
        return next(((each, self._memory.hashes[each.user_id]) for each in found), None)

    async def page(self, offset: int, most: int) -> Sequence[Account]:
        return [account for _, account in sorted(self._memory.accounts.items())][offset : offset + most]

    async def enable(self, user_id: int, *, enabled: bool) -> Account:
        self._memory.accounts[user_id] = replace(self._memory.held(user_id), enabled=enabled)
        if not enabled:
            self._memory.end_all(user_id)
        return self._memory.accounts[user_id]

    async def set_role(self, user_id: int, role: Role) -> Account:
        self._memory.accounts[user_id] = replace(self._memory.held(user_id), role=role)
        self._memory.end_all(user_id)
        return self._memory.accounts[user_id]

    async def set_password(self, user_id: int, password_hash: str, *, was: str | None, keep: str | None) -> Account:
        account = self._memory.held(user_id)
        if was is not None and self._memory.hashes[user_id] != was:
            raise NotLoggedIn("the password was changed meanwhile")
        self._memory.hashes[user_id] = password_hash
        self._memory.end_all(user_id, keep)
        return account

    async def rehash(self, user_id: int, password_hash: str, was: str) -> None:
        if self._memory.hashes.get(user_id) == was:
            self._memory.hashes[user_id] = password_hash


class MemorySessions:
    """The port `SessionStore`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def begin(self, account: Account, password_hash: str, session_id: str, token: str, lives: Lives) -> Session:
        memory, user_id = self._memory, account.user_id
        now = memory.accounts.get(user_id)
        if now is None or not now.enabled or memory.hashes[user_id] != password_hash:
            raise NotLoggedIn("the account was changed meanwhile")
        ends = memory.now + lives.session * 1000
        memory.sessions[session_id] = (user_id, ends)
        memory.accounts[user_id] = replace(now, logged_in_at=memory.now)
        return self._with_token(Session(session_id, memory.accounts[user_id], ends), token, lives)

    async def session(self, session_id: str) -> Session | None:
        user_id, ends = self._memory.sessions.get(session_id, (0, 0))
        return Session(session_id, self._memory.accounts[user_id], ends) if ends > self._memory.now else None

    async def rotate(self, token: str, following: str, lives: Lives) -> Session | None:
        shown = self._memory.tokens.get(token)
        found = await self.session(shown.session_id) if shown else None
        if shown is None or found is None or not found.account.enabled or shown.expires_at <= self._memory.now:
            return None
        if shown.spent:
            self._memory.end(found.id)
            return None
        shown.spent = True
        return self._with_token(found, following, lives)

    async def end(self, session_id: str) -> None:
        self._memory.end(session_id)

    async def end_all(self, user_id: int) -> None:
        self._memory.end_all(user_id)

    async def tidy(self) -> int:
        ended = [name for name, (_, ends) in self._memory.sessions.items() if ends < self._memory.now]
        for name in ended:
            self._memory.end(name)
        return len(ended)

    def _with_token(self, session: Session, token: str, lives: Lives) -> Session:
        until = lives.refresh_until(self._memory.now, session.expires_at)
        self._memory.tokens[token] = _Token(session.id, until)
        return replace(session, refresh_ms=until - self._memory.now)


class MemoryApiKeys:
    """The port `ApiKeyStore`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def add(self, user_id: int, title: str, role: Role, key: str, days: int | None, most: int) -> ApiKey:
        memory = self._memory
        if len(await self.of_user(user_id)) >= most:
            raise ApiKeyLimit(f"an account has at most {most} API keys; delete one first")
        memory.made_keys += 1
        ends = None if days is None else memory.now + days * 86_400_000
        made = ApiKey(memory.made_keys, title, role, memory.now, ends)
        memory.keys[made.id] = (user_id, key, made)
        return made

    async def of_user(self, user_id: int) -> Sequence[ApiKey]:
        return [key for owner, _, key in self._memory.keys.values() if owner == user_id]

    async def remove(self, user_id: int, key_id: int) -> bool:
        owner = self._memory.keys.get(key_id, (None,))[0]
        return owner == user_id and self._memory.keys.pop(key_id, None) is not None

    async def holder(self, key: str) -> tuple[Account, ApiKey] | None:
        for owner, kept, row in self._memory.keys.values():
            if kept == key and (row.expires_at is None or row.expires_at > self._memory.now):
                return self._memory.accounts[owner], row
        return None


class MemoryLoginFailures:
    """The port `LoginFailures`."""

    def __init__(self, memory: Memory, rate: Rate) -> None:
        self._memory = memory
        self._rate = rate

    async def take(self, name: str) -> float:
        now = self._memory.now / 1000
        owed, wait = self._rate.after(self._memory.failures.get(name, now), now)
        self._memory.failures[name] = owed
        return wait

    async def give_back(self, name: str) -> None:
        if name in self._memory.failures:
            self._memory.failures[name] = self._rate.before(self._memory.failures[name])

    async def tidy(self) -> int:
        over = [name for name, owed in self._memory.failures.items() if owed < self._memory.now / 1000]
        for name in over:
            del self._memory.failures[name]
        return len(over)
