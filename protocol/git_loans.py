"""Keys for git that workspace nodes borrow from the API entry, each for one app's repository and a short time.

A node makes the pair and sends the public half; the private one leaves it for the user's container only. The API lets
the key in at the git server, and takes it back when the node gives it back or its time is over.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, Field

from protocol.base import Wire
from protocol.names import AppId, UserId

LEND_PATH: Final = "/api/fun-ai/internal/git-loans/lend"
RETURN_PATH: Final = "/api/fun-ai/internal/git-loans/return"
RETURN_ALL_PATH: Final = "/api/fun-ai/internal/git-loans/return-all"
#: The longest that a node may let git take, and what it spares for the way.
MOST_LOAN_SECONDS: Final = 3_700
_ED25519: Final = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}")
_FINGERPRINT: Final = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def _public_key(value: str) -> str:
    if not _ED25519.fullmatch(value):
        raise ValueError("must be an Ed25519 public key: ssh-ed25519, a space and its base64, on one line")
    return value


def _fingerprint(value: str) -> str:
    if not _FINGERPRINT.fullmatch(value):
        raise ValueError("must be SHA256: and 43 characters of base64")
    return value


class LendGitKey(Wire):
    """Body of `POST .../lend`: let this key write to the app's repository for so many seconds."""

    user_id: UserId
    app_id: AppId
    public_key: Annotated[str, AfterValidator(_public_key)]
    seconds: Annotated[float, Field(gt=0, le=MOST_LOAN_SECONDS)]


class GitKeyLent(Wire):
    """The key opens this repository (`owner/name`) until then."""

    fingerprint: str
    repository: str
    expires_at: AwareDatetime


class ReturnGitKey(Wire):
    """Body of `POST .../return`: a key that the node was lent opens nothing any more."""

    fingerprint: Annotated[str, AfterValidator(_fingerprint)]


class ReturnGitKeys(Wire):
    """Body of `POST .../return-all`: no key that the node was lent for the app opens anything any more."""

    user_id: UserId
    app_id: AppId


class GitKeysReturned(Wire):
    """How many keys there were."""

    keys: int
