"""Where what is being written or removed lies: `.staging` in a user's folder, on the user's disk.

Its names say what they are, so that what a crash left behind is put right at the next use: drafts and what was on its
way out are removed; of an app's former content that was being replaced, what the replacement was to keep is put back.
The user may change this folder as well; then only the user's own work suffers.
"""

import os
import secrets
from contextlib import suppress
from typing import Final

from daemons.workspace.adapters.confined import Confinement, closing, make_folder, rename_new
from daemons.workspace.adapters.files_removal import Removal, move_out
from daemons.workspace.domain.archive import KEPT

STAGING: Final = ".staging"
_DRAFT, _GONE, _SWAP, _UPLOAD = "draft", "gone", "swap", "upload"


class Staging:
    """The staging folders of all users, seen from this process."""

    def __init__(self, confined: Confinement) -> None:
        self._confined = confined
        self._process = secrets.token_hex(8)
        self._count = 0
        self._tidied: set[str] = set()

    def opened(self, user_id: str, home: int) -> int:
        """The folder, open; tidied if this process has not used it before. Raises OSError."""
        try:
            folder = self._confined.folder(home, (STAGING,))
        except FileNotFoundError:
            folder = self._made(home)
        except OSError:
            # Whatever else is called so: a link, a file.
            os.unlink(STAGING, dir_fd=home)
            folder = self._made(home)
        if user_id not in self._tidied:
            self._tidied.add(user_id)
            self._tidy(home, folder)
        return folder

    def draft_name(self) -> str:
        """For a file in the making."""
        return self._name(_DRAFT)

    def upload_name(self, upload_id: str) -> str:
        """For an upload, in every process alike."""
        return f"{_UPLOAD}-{upload_id}"

    def gone_name(self) -> str:
        """For what is to be removed."""
        return self._name(_GONE)

    def swap_name(self, app_id: str) -> str:
        """For an app's next content, and then for its former one."""
        return self._name(f"{_SWAP}-{app_id}")

    def remove(self, staging: int, folder: int, name: str) -> None:
        """Out of sight at once, then for good."""
        gone = self.gone_name()
        try:
            move_out(self._confined, folder, name, staging, gone)
        except FileNotFoundError:
            return
        self.removal(staging).remove(staging, gone)

    def removal(self, staging: int) -> Removal:
        """Removes what lies in the staging folder."""
        return Removal(self._confined, staging, self.gone_name)

    def forget(self, user_id: str) -> None:
        """Look at it again at the next use: somebody else may have used it meanwhile."""
        self._tidied.discard(user_id)

    def _made(self, home: int) -> int:
        with suppress(FileExistsError):
            make_folder(home, STAGING)
        return self._confined.folder(home, (STAGING,))

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._process}-{self._count}"

    def _tidy(self, home: int, staging: int) -> None:
        with os.scandir(staging) as entries:
            names = [entry.name for entry in entries if f"-{self._process}-" not in entry.name]
        for name in names:
            kind, _, rest = name.partition("-")
            with suppress(OSError):
                if kind == _SWAP:
                    self._put_back(home, staging, name, rest.rsplit("-", 2)[0])
                if kind in (_DRAFT, _GONE, _SWAP):
                    self.removal(staging).remove(staging, name)

    def _put_back(self, home: int, staging: int, name: str, app_id: str) -> None:
        """An archive brings none of these names, so a folder that has them is former content."""
        with (
            closing(self._confined.folder(staging, (name,))) as former,
            closing(self._confined.folder(home, ("apps", app_id))) as app,
        ):
            for kept in KEPT:
                with suppress(FileNotFoundError, FileExistsError):
                    rename_new(former, kept, app, kept)
