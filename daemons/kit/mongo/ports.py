"""What is needed of a database server, and the ways it fails."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from daemons.kit.mongo.accounts import Account
from daemons.kit.mongo.documents import Document


class DatabaseError(Exception):
    """The database server did not answer, or refused this node; the message holds no secret."""


class AccountError(Exception):
    """Accounts cannot be read or written down; the message holds no secret."""


class QueryRefused(Exception):
    """The database server does not do what was asked of it; the message holds its own words."""


@dataclass(frozen=True, slots=True)
class MongoServer:
    """How this node reaches the server; without a user name it asks as nobody in particular. `at_once` calls are made
    at the same time, others wait."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    auth_source: str = "admin"
    tls: bool = False
    appname: str = "funai"
    at_once: int = 8


@dataclass(frozen=True, slots=True)
class Given:
    """Variables of the platform's own, and the names of those that nobody else may read."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = ()


class Databases(Protocol):
    """Apps' databases and their users; every method raises DatabaseError and may be repeated."""

    async def ensure(self, account: Account) -> None:
        """The account's user exists, with its password and with the right to read and write its database only."""
        ...

    async def mark(self, database: str) -> None:
        """The database exists, with nothing in it that an explorer shows."""
        ...

    async def revoke(self, account: Account) -> None:
        """The app's users of all nodes are gone."""
        ...

    async def drop(self, database: str) -> None:
        """The database is gone; an absent one is no error."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Documents in extended JSON; `truncated` says that there are more than one answer holds."""

    items: tuple[Document, ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of an update; `upserted_id` in extended JSON."""

    matched: int
    modified: int
    upserted_id: Any = None


class Documents(Protocol):
    """The documents of one server; every method raises DatabaseError and QueryRefused.

    Documents, filters and ids are in extended JSON; those that `documents` has admitted. Time and size of every
    call are bounded.
    """

    async def collections(self, database: str) -> Sequence[str]:
        """The names of the app's own collections."""
        ...

    async def find(
        self,
        database: str,
        collection: str,
        wanted: Document,
        projection: Document,
        order: Document,
        *,
        skip: int,
        limit: int,
    ) -> Page:
        """The documents that fit."""
        ...

    async def insert(self, database: str, collection: str, document: Document) -> Any:
        """The id of the new document."""
        ...

    async def update(
        self, database: str, collection: str, document_id: Any, update: Document, *, upsert: bool
    ) -> Changed:
        """Change the document with the id."""
        ...

    async def delete(self, database: str, collection: str, document_id: Any) -> int:
        """How many documents had the id."""
        ...

    async def create(self, database: str, collection: str, validator: Document, *, strict: bool) -> bool:
        """Whether it was not there before."""
        ...


class Doors(Protocol):
    """The way into one database for its own account, which the server lets into no other."""

    def opened(self, account: Account) -> AbstractAsyncContextManager[Documents]:
        """What it gives raises DatabaseError for an account that the server does not know, or lets in no further."""
        ...


class AccountFiles(Protocol):
    """The durable memory of databases' accounts, passwords included; every method raises AccountError."""

    async def load(self) -> Sequence[Account]:
        """Every account; what cannot be understood is left out, and logged."""
        ...

    async def save(self, account: Account) -> None:
        """Write one so that it survives a crash of the machine, readable by nobody else."""
        ...

    async def remove(self, account: Account) -> None:
        """Forget one; an absent one is no error."""
        ...
