"""Secrets of accounts as environment files that their owner alone may read."""

from pathlib import Path
from typing import Final

from daemons.deploy.domain.robots import Credentials, RobotRole, environment
from daemons.deploy.ports.projects import SecretsRefused
from daemons.kit.durable import replace_file

_OWN_FILE: Final = 0o600
_OWN_FOLDER: Final = 0o700


class SecretFiles:
    """The port `SecretKeeper`: `NAME.env` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self) -> None:
        """Make the folder, and prove that a file can be written there: what is told once must not be told in vain."""
        trial = self._folder / ".trial"
        try:
            self._folder.mkdir(mode=_OWN_FOLDER, parents=True, exist_ok=True)
            replace_file(trial, b"", _OWN_FILE)
            trial.unlink()
        except OSError as error:
            raise SecretsRefused(f"no secret can be written to {self._folder}: {error.strerror or error}") from error

    def keep(self, name: str, role: RobotRole, credentials: Credentials) -> str:
        """The file's path; one of this name is replaced."""
        path = self._folder / f"{name}.env"
        try:
            replace_file(path, environment(role, credentials).encode(), _OWN_FILE)
        except OSError as error:
            raise SecretsRefused(
                f"the secret of {name} could not be written to {path}: {error.strerror or error}. Nobody knows it "
                f"now: mend that and give the account a new one with --renew {name}"
            ) from error
        return str(path)
