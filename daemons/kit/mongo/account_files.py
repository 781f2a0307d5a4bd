"""Accounts of databases as one JSON file each, for the agent's eyes only: they hold passwords."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from daemons.kit.durable import replace_file
from daemons.kit.mongo.accounts import Account
from daemons.kit.mongo.ports import AccountError

logger = logging.getLogger(__name__)

_ACCOUNT: Final = TypeAdapter(Account)


class JsonAccounts:
    """`FOLDER/databases/u{userId}_a{appId}.json`, mode 0600; ids are validated names before they get here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "databases"

    async def load(self) -> Sequence[Account]:
        """Every account but those that are not understood: their apps get new passwords when they are next deployed.

        Raises AccountError when the folder cannot be read.
        """
        return await asyncio.to_thread(self._load)

    async def save(self, account: Account) -> None:
        """Durable when it returns. Raises AccountError."""
        await asyncio.to_thread(self._save, account)

    async def remove(self, account: Account) -> None:
        """Raises AccountError."""
        try:
            await asyncio.to_thread(self._path(account).unlink, missing_ok=True)
        except OSError as error:
            raise self._failed("removed", error) from error

    def _load(self) -> list[Account]:
        accounts: list[Account] = []
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(self._folder.glob("[!.]*.json")):
                try:
                    account = _ACCOUNT.validate_json(path.read_bytes())
                except ValidationError:
                    logger.warning("an account of a database is not understood and left out", extra={"file": str(path)})
                    continue
                accounts.append(account)
        except OSError as error:
            raise self._failed("read", error) from error
        return accounts

    def _save(self, account: Account) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self._path(account), _ACCOUNT.dump_json(account, indent=1), 0o600)
        except OSError as error:
            raise self._failed("written", error) from error

    def _path(self, account: Account) -> Path:
        return self._folder / f"u{account.user_id}_a{account.app_id}.json"

    def _failed(self, what: str, error: OSError) -> AccountError:
        return AccountError(f"accounts of databases in {self._folder} cannot be {what}: {error.strerror or error}")
