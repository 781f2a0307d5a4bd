"""What the node remembers, as one JSON file for each user in a folder that no user can write."""

import asyncio
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from weakref import WeakValueDictionary

from daemons.workspace.domain.passes import Rule, Rules
from daemons.workspace.domain.runs import Run
from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.ports import RecordError
from protocol.workspace_previews import Visibility
from protocol.workspace_runs import RunType

Record = TypeVar("Record", bound=Workspace | Run | Rules)
_KEY_BYTES: Final = 32


class JsonRecords(Generic[Record]):
    """Records of one kind, in a folder that only the node can enter. What is told of a user at once is written in the
    order in which it was told."""

    def __init__(self, folder: Path, decode: Callable[[Mapping[str, Any]], Record]) -> None:
        self._folder = folder
        self._decode = decode
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(self) -> Sequence[Record]:
        """Raises RecordError."""
        return await asyncio.to_thread(self._load)

    async def save(self, record: Record) -> None:
        """It survives a crash of the machine afterwards. Raises RecordError."""
        document = json.dumps(asdict(record), separators=(",", ":")).encode()
        async with self._turns.setdefault(record.user_id, asyncio.Lock()):
            await asyncio.to_thread(self._write, record.user_id, document)

    async def forget(self, user_id: str) -> None:
        """Raises RecordError."""
        async with self._turns.setdefault(user_id, asyncio.Lock()):
            await asyncio.to_thread(self._path(user_id).unlink, missing_ok=True)

    def _load(self) -> list[Record]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return [self._read(path) for path in sorted(self._folder.glob("*.json"))]
        except OSError as error:
            raise RecordError(f"{self._folder} cannot be read: {error.strerror}") from error

    def _read(self, path: Path) -> Record:
        try:
            return self._decode(json.loads(path.read_bytes()))
        except (ValueError, TypeError, KeyError) as error:
            raise RecordError(f"{path} is not a record of this release; mend or remove it, and start again") from error

    def _write(self, user_id: str, document: bytes) -> None:
        """Whole or not at all, also when the machine stops in between."""
        path = self._path(user_id)
        draft = path.with_suffix(".new")
        try:
            with draft.open("wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            raise RecordError(f"{path} cannot be written: {error.strerror}") from error

    def _path(self, user_id: str) -> Path:
        if not user_id.isdecimal():
            raise RecordError("a user's id holds characters that no id has")
        return self._folder / f"{user_id}.json"


def workspace_records(folder: Path) -> JsonRecords[Workspace]:
    """What the node remembers of workspaces."""
    return JsonRecords(folder, lambda found: Workspace(**{**found, "phase": Phase(found["phase"])}))


def run_records(folder: Path) -> JsonRecords[Run]:
    """What the node remembers of runs."""
    return JsonRecords(folder, lambda found: Run(**{**found, "type": RunType(found["type"])}))


def rule_records(folder: Path) -> JsonRecords[Rules]:
    """What the node remembers of who may see previews."""

    def decode(found: Mapping[str, Any]) -> Rules:
        apps = {
            app: Rule(Visibility(rule["visibility"]), int(rule["generation"])) for app, rule in found["apps"].items()
        }
        return Rules(found["user_id"], apps)

    return JsonRecords(folder, decode)


def node_key(path: Path) -> bytes:
    """The node's own secret, made with its first start. Raises RecordError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key, draft = secrets.token_bytes(_KEY_BYTES), path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600, exist_ok=False)
            with draft.open("r+b") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
    except OSError as error:
        raise RecordError(f"{path} cannot be read or made: {error.strerror}") from error
    if len(key) != _KEY_BYTES:
        raise RecordError(
            f"{path} does not hold {_KEY_BYTES} bytes; remove it, and visitors of private previews open them anew"
        )
    return key
