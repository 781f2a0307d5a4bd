"""What the node remembers, as one JSON file for each user in a folder that no user can write."""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemons.workspace.domain.workspaces import Phase, Workspace
from daemons.workspace.ports import RecordError


class JsonRecords:
    """The port `Records` over a folder, which only the node can enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def load(self) -> Sequence[Workspace]:
        """Raises RecordError."""
        return await asyncio.to_thread(self._load)

    async def save(self, workspace: Workspace) -> None:
        """Raises RecordError."""
        document = json.dumps(asdict(workspace), separators=(",", ":")).encode()
        await asyncio.to_thread(self._write, workspace.user_id, document)

    async def forget(self, user_id: str) -> None:
        """Raises RecordError."""
        await asyncio.to_thread(self._path(user_id).unlink, missing_ok=True)

    def _load(self) -> list[Workspace]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return [_read(path) for path in sorted(self._folder.glob("*.json"))]
        except OSError as error:
            raise RecordError(f"{self._folder} cannot be read: {error.strerror}") from error

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


def _read(path: Path) -> Workspace:
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        return Workspace(**{**document, "phase": Phase(document["phase"])})
    except (ValueError, TypeError, KeyError) as error:
        raise RecordError(f"{path} is not a record of a workspace; mend or remove it, and start again") from error
