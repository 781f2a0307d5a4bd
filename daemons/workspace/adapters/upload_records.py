"""What the node remembers of uploads that are not over: one JSON file for each, in a folder that no user can enter."""

import asyncio
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from daemons.workspace.domain.uploads import Upload
from daemons.workspace.ports import RecordError

_ID: Final = re.compile(r"[0-9a-f]{32}")


class UploadFiles:
    """The port `UploadRecords`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def all(self) -> Sequence[Upload]:
        """Raises RecordError."""
        return await asyncio.to_thread(self._all)

    async def find(self, upload_id: str) -> Upload | None:
        """Raises RecordError."""
        if not _ID.fullmatch(upload_id):
            return None
        return await asyncio.to_thread(self._read, self._folder / f"{upload_id}.json")

    async def save(self, upload: Upload) -> None:
        """Raises RecordError."""
        await asyncio.to_thread(self._write, upload)

    async def forget(self, upload_id: str) -> None:
        """Raises RecordError."""
        await asyncio.to_thread((self._folder / f"{upload_id}.json").unlink, missing_ok=True)

    def _all(self) -> list[Upload]:
        try:
            found = [self._read(path) for path in sorted(self._folder.glob("*.json"))]
        except OSError as error:
            raise RecordError(f"{self._folder} cannot be read: {error.strerror}") from error
        return [upload for upload in found if upload is not None]

    def _read(self, path: Path) -> Upload | None:
        """None for one that is not there; one that cannot be understood is none, and its sender begins anew."""
        try:
            return Upload(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            path.unlink(missing_ok=True)
            return None

    def _write(self, upload: Upload) -> None:
        """Whole or not at all."""
        draft = self._folder / f"{upload.id}.new"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with draft.open("w") as file:
                json.dump(asdict(upload), file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._folder / f"{upload.id}.json")
        except OSError as error:
            raise RecordError(f"{self._folder} cannot be written: {error.strerror}") from error
