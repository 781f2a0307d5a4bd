"""States of apps as one JSON file each, written so that a crash leaves the old or the new one, never half."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from daemons.agent.domain.apps import AppState
from daemons.agent.ports import StateError
from daemons.kit.durable import replace_file

_STATE: Final = TypeAdapter(AppState)


class JsonStates:
    """`FOLDER/apps/{appId}.json`; ids are validated names before they get here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "apps"

    async def load(self) -> Sequence[AppState]:
        """Every state. Raises StateError that names a file which cannot be understood."""
        return await asyncio.to_thread(self._load)

    async def save(self, state: AppState) -> None:
        """Durable when it returns. Raises StateError."""
        await asyncio.to_thread(self._save, state)

    def _load(self) -> list[AppState]:
        states: list[AppState] = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._folder.glob("[!.]*.json")):
                states.append(_read(path))
        except OSError as error:
            raise StateError(f"the states in {self._folder} cannot be read: {error}") from error
        return states

    def _save(self, state: AppState) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._folder / f"{state.app_id}.json", _STATE.dump_json(state, indent=1), 0o600)
        except OSError as error:
            raise StateError(
                f"the state of app {state.app_id} cannot be written to {self._folder}: {error.strerror or error}"
            ) from error


def _read(path: Path) -> AppState:
    try:
        state = _STATE.validate_json(path.read_bytes())
    except ValidationError as error:
        raise StateError(
            f"{path} is not understood ({error.error_count()} problems); mend it or move it away"
        ) from None
    if path.stem != state.app_id:
        raise StateError(f"{path} holds the state of app {state.app_id}; move it away or mend it")
    return state
