"""An app's database: its name, the account that may use it, and what the app is told of it.

One MongoDB serves all nodes. An app has one database, and on every node that runs it one user of its own: the users
have the same name, but each node keeps its own in an authentication database of its own. So a node that takes an app
over chooses a new password without taking away the one by which the app still runs elsewhere.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final
from urllib.parse import quote, urlencode

#: MongoDB's limit is 63 bytes.
_MOST_CHARACTERS: Final = 63
_DIGEST_CHARACTERS: Final = 10
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]")


class Phase(StrEnum):
    """What is to be done with an account. WANTED: it may not exist yet. GONE: it is to be removed."""

    WANTED = "wanted"
    READY = "ready"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Account:
    """One app's user on this node; `drop` says that its database goes with it. `name` is the user's, where that is not
    the database's; `made_at_ms` is epoch milliseconds, 0 for one that was made before this was written down."""

    user_id: str
    app_id: str
    database: str
    realm: str
    password: str = field(repr=False)
    phase: Phase = Phase.WANTED
    drop: bool = False
    name: str = ""
    made_at_ms: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Whose it is."""
        return self.user_id, self.app_id

    @property
    def user(self) -> str:
        """The user's name on the server."""
        return self.name or self.database


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """How apps reach the server, how databases and users are called (no template: users as their databases), and
    `realm`, where this node keeps its users."""

    host: str
    port: int
    realm: str
    template: str = "db_u{userId}_a{appId}"
    tls: bool = False
    user_template: str = ""

    def database(self, user_id: str, app_id: str) -> str:
        """The name of the app's database."""
        return database_name(self.template, user_id, app_id)

    def account(self, user_id: str, app_id: str, password: str, made_at_ms: int = 0) -> Account:
        """A new account."""
        name = database_name(self.user_template, user_id, app_id)
        database = self.database(user_id, app_id)
        return Account(user_id, app_id, database, self.realm, password, name=name, made_at_ms=made_at_ms)


def database_name(template: str, user_id: str, app_id: str) -> str:
    """The template with the ids in it, in MongoDB's alphabet; one that is too long ends in a digest of itself."""
    plain = template.replace("{userId}", user_id).replace("{appId}", app_id)
    name = _NOT_IN_NAMES.sub("_", plain)
    if len(name) <= _MOST_CHARACTERS:
        return name
    digest = hashlib.sha256(plain.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: _MOST_CHARACTERS - _DIGEST_CHARACTERS - 1]}_{digest}"


def realm_of(node: str) -> str:
    """The authentication database of a node's users."""
    digest = hashlib.sha256(node.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"funai_{_NOT_IN_NAMES.sub('_', node)[:40]}_{digest}"


def wanted(account: Account) -> Account:
    """The app is deployed again: a removal that is still owed is not carried out."""
    return replace(account, phase=Phase.WANTED, drop=False) if account.phase is Phase.GONE else account


def ready(account: Account) -> Account:
    """The server has it, unless it is to go by now."""
    return replace(account, phase=Phase.READY) if account.phase is Phase.WANTED else account


def gone(account: Account, *, drop: bool) -> Account:
    """The app is deleted."""
    return replace(account, phase=Phase.GONE, drop=drop or account.drop)


#: Those of an app's variables that hold its password.
SECRET_VARIABLES: Final = ("MONGODB_URI", "MONGO_URL")


def environment(server: DatabaseServer, account: Account) -> dict[str, str]:
    """The variables of the app's container; their names are those that existing apps read."""
    uri = connection_string(server, account)
    return {"MONGODB_URI": uri, "MONGO_URL": uri, "FUNAI_MONGO_DB_NAME": account.database}


def connection_string(server: DatabaseServer, account: Account) -> str:
    """MongoDB's connection string format: user, password and options are percent-encoded, a space is never a plus."""
    host = f"[{server.host}]" if ":" in server.host else server.host
    options: Mapping[str, str] = {"authSource": account.realm} | ({"tls": "true"} if server.tls else {})
    return (
        f"mongodb://{quote(account.user, safe='')}:{quote(account.password, safe='')}@{host}:{server.port}"
        f"/{quote(account.database, safe='')}?{urlencode(options, quote_via=quote)}"
    )
