"""Accounts on the wire: who logs in, what they get for it, keys of their programs, what admins see and order."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from protocol.api import Line
from protocol.base import Wire
from protocol.names import UserId

_USER_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")


class Role(StrEnum):
    """What somebody may do; each may what those before it may."""

    USER = "user"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Higher is more."""
        return list(Role).index(self)

    def covers(self, wanted: "Role") -> bool:
        """Whether who has this role may do what needs that one."""
        return self.rank >= wanted.rank


def user_name(value: str) -> str:
    """The name as it is kept: without difference between capital and small letters. Raises ValueError."""
    name = value.lower()
    if not _USER_NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 letters, digits, '.', '_', '@' or '-', with a letter or digit at each end")
    return name


def is_user_name(text: str) -> bool:
    """Whether it is a name as it is kept."""
    return bool(_USER_NAME.fullmatch(text))


UserName = Annotated[str, StringConstraints(max_length=64), AfterValidator(user_name)]
#: What it must be is said where one is set; here only that nobody sends a book.
Password = Annotated[str, Field(repr=False), StringConstraints(min_length=1, max_length=1024)]
RefreshToken = Annotated[str, Field(repr=False), StringConstraints(min_length=1, max_length=256)]


class Login(Wire):
    """Body of `POST /api/fun-ai/auth/login`."""

    user_name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    password: Password


class Refresh(Wire):
    """Body of `POST /api/fun-ai/auth/refresh`: a token is good for one use, and the answer has the next."""

    refresh_token: RefreshToken


class LoggedIn(Wire):
    """Answer of login and refresh. The access token goes into `Authorization: Bearer`; both lives are in seconds."""

    access_token: str = Field(repr=False)
    token_type: str = "Bearer"  # noqa: S105 - a scheme's name
    expires_in: int
    refresh_token: str = Field(repr=False)
    refresh_expires_in: int
    user_id: int
    user_name: str
    role: Role


class Logout(Wire):
    """Body of `POST /api/fun-ai/auth/logout`; `everywhere` ends all sessions of the account."""

    everywhere: bool = False


class ChangePassword(Wire):
    """Body of `POST /api/fun-ai/auth/password`; every other session of the account ends."""

    current_password: Password
    new_password: Password


class AddApiKey(Wire):
    """Body of `POST /api/fun-ai/user/api-keys`. `days` from now it ends; left out: when it is deleted."""

    title: Line
    role: Role = Role.USER
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class OfApiKey(Wire):
    """Query of `DELETE /api/fun-ai/user/api-keys`."""

    key_id: int


class ApiKeyInfo(Wire):
    """One of the caller's API keys; the key itself is shown once, when it is made."""

    id: int
    title: str
    role: Role
    create_time: AwareDatetime
    expire_time: AwareDatetime | None = None


class MadeApiKey(ApiKeyInfo):
    """Answer of making one: `key` goes into `Authorization: Bearer`, and nobody can show it again."""

    key: str = Field(repr=False)


class AccountView(Wire):
    """An account as admins see it; `lastLoginTime` is when its password was last accepted."""

    user_id: int
    user_name: str
    role: Role
    enabled: bool
    create_time: AwareDatetime
    last_login_time: AwareDatetime | None = None


class CreateAccount(Wire):
    """Body of `POST /api/fun-ai/admin/users/create`; `userId` gives an account to a user who is there without one."""

    user_name: UserName
    password: Password
    role: Role = Role.USER
    user_id: UserId | None = None


class SetAccountEnabled(Wire):
    """Body of `POST /api/fun-ai/admin/users/set-enabled`; who is disabled has no session any more."""

    user_id: UserId
    enabled: bool


class SetAccountRole(Wire):
    """Body of `POST /api/fun-ai/admin/users/set-role`; the account's sessions end."""

    user_id: UserId
    role: Role


class SetAccountPassword(Wire):
    """Body of `POST /api/fun-ai/admin/users/set-password`; the account's sessions end."""

    user_id: UserId
    password: Password
