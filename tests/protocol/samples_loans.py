"""A sample of every wire model of keys that are lent."""

from datetime import UTC, datetime
from typing import Final

from protocol.base import Wire
from protocol.git_loans import GitKeyLent, GitKeysReturned, LendGitKey, ReturnGitKey, ReturnGitKeys

_MOMENT: Final = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
_FINGERPRINT: Final = f"SHA256:{'A' * 43}"
_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

LOAN_SAMPLES: Final[tuple[Wire, ...]] = (
    LendGitKey(user_id="7", app_id="20001", public_key=_KEY, seconds=135.0),
    GitKeyLent(fingerprint=_FINGERPRINT, repository="funai/u7-app20001", expires_at=_MOMENT),
    ReturnGitKey(fingerprint=_FINGERPRINT),
    ReturnGitKeys(user_id="7", app_id="20001"),
    GitKeysReturned(keys=1),
)
