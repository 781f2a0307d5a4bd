"""Accounts, for admins; API keys, for those who logged in."""

from aiohttp import web

from daemons.api.domain.accounts import Account
from daemons.api.http.apps import moment
from daemons.api.http.callers import session
from daemons.api.ports.accounts import ApiKey
from daemons.api.services.accounts import Accounts, ApiKeys
from daemons.kit.bodies import number, query, read, reply
from protocol.accounts import (
    AccountView,
    AddApiKey,
    ApiKeyInfo,
    CreateAccount,
    MadeApiKey,
    OfApiKey,
    SetAccountEnabled,
    SetAccountPassword,
    SetAccountRole,
)

_BASE = "/api/fun-ai/admin/users"
_KEYS = "/api/fun-ai/user/api-keys"


class AccountRoutes:
    """`/api/fun-ai/admin/users`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def table(self) -> list[web.RouteDef]:
        """Routes for admins."""
        return [
            web.get(f"{_BASE}/list", self.list),
            web.post(f"{_BASE}/create", self.create),
            web.post(f"{_BASE}/set-enabled", self.enable),
            web.post(f"{_BASE}/set-role", self.set_role),
            web.post(f"{_BASE}/set-password", self.set_password),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """Some accounts, by their ids."""
        offset = number(request, "offset", default=0, low=0, high=2**53)
        limit = number(request, "limit", default=200, low=1, high=1000)
        return reply([_view(account) for account in await self._accounts.page(offset, limit)])

    async def create(self, request: web.Request) -> web.Response:
        """A new account."""
        order = await read(request, CreateAccount)
        owner = None if order.user_id is None else int(order.user_id)
        return reply(_view(await self._accounts.create(order.user_name, order.password, order.role, owner)))

    async def enable(self, request: web.Request) -> web.Response:
        """Switch an account on or off."""
        order = await read(request, SetAccountEnabled)
        return reply(_view(await self._accounts.enable(int(order.user_id), enabled=order.enabled)))

    async def set_role(self, request: web.Request) -> web.Response:
        """Another role."""
        order = await read(request, SetAccountRole)
        return reply(_view(await self._accounts.set_role(int(order.user_id), order.role)))

    async def set_password(self, request: web.Request) -> web.Response:
        """For somebody who has forgotten theirs."""
        order = await read(request, SetAccountPassword)
        return reply(_view(await self._accounts.set_password(int(order.user_id), order.password)))


class ApiKeyRoutes:
    """`/api/fun-ai/user/api-keys`."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.get(_KEYS, self.list),
            web.post(_KEYS, self.add),
            web.delete(_KEYS, self.remove),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """The caller's keys, without the keys themselves."""
        return reply([_info(key) for key in await self._keys.of(session(request).account)])

    async def add(self, request: web.Request) -> web.Response:
        """A new key, shown this once."""
        order = await read(request, AddApiKey)
        kept, key = await self._keys.add(session(request).account, order.title, order.role, order.days)
        answer = reply(MadeApiKey(**dict(_info(kept)), key=key))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    async def remove(self, request: web.Request) -> web.Response:
        """Take a key away."""
        await self._keys.remove(session(request).account, query(request, OfApiKey).key_id)
        return reply(None)


def _view(account: Account) -> AccountView:
    return AccountView(
        user_id=account.user_id,
        user_name=account.name,
        role=account.role,
        enabled=account.enabled,
        create_time=moment(account.created_at),
        last_login_time=None if account.logged_in_at is None else moment(account.logged_in_at),
    )


def _info(key: ApiKey) -> ApiKeyInfo:
    return ApiKeyInfo(
        id=key.id,
        title=key.title,
        role=key.role,
        create_time=moment(key.created_at),
        expire_time=None if key.expires_at is None else moment(key.expires_at),
    )
