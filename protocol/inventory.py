"""What is there and what is known: the list of all apps there are, and the containers that nodes have."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from protocol.base import Wire
from protocol.names import AppId


class AppInventory(Wire):
    """`POST /deploy/apps/inventory`: every app that exists, as of `takenAt`.

    It deletes nothing unless `dryRun` is false. It is refused unless it says that it is complete, `count` is the number
    of its `appIds`, it is not empty, and `takenAt` is a few minutes ago at most. When it would delete more than a fifth
    of the known apps, `confirm` must be the exact number.
    """

    taken_at: AwareDatetime
    complete: bool
    count: Annotated[int, Field(ge=0)]
    app_ids: Annotated[tuple[AppId, ...], Field(max_length=200_000)]
    dry_run: bool = True
    confirm: Annotated[int, Field(ge=1)] | None = None


class UnlistedApp(Wire):
    """An app that is not in the inventory. `reason` says why it is kept, null when it goes."""

    app_id: str
    user_id: str | None = None
    node_id: int | None = None
    reason: str | None = None
    message: str | None = None


class InventoryResult(Wire):
    """What goes and what is kept although it is not listed. Unless `dryRun`, `operations` is how many deletes the
    apps' nodes were asked for; each app's record goes once its nodes have done theirs."""

    dry_run: bool
    known: int
    listed: int
    orphans: tuple[UnlistedApp, ...] = ()
    kept: tuple[UnlistedApp, ...] = ()
    operations: int = 0


class StrayReason(StrEnum):
    """Why a container is not where the catalogue has its app. More may come.

    - `unknown_app`: nothing is known of the app.
    - `other_owner`: the app belongs to another user than the container.
    - `elsewhere`: the app lives on another node, and nothing is under way that would end this copy.
    - `stopped`: the app was stopped, and yet the container runs.
    """

    UNKNOWN_APP = "unknown_app"
    OTHER_OWNER = "other_owner"
    ELSEWHERE = "elsewhere"
    STOPPED = "stopped"


class StrayContainer(Wire):
    """A container that nobody answers for. Nothing is done about it: whoever is sure of it removes it on the node, with
    the engine's own command."""

    node: str
    container: str
    user_id: str
    app_id: str
    running: bool
    reason: str
    message: str


class UnaskedNode(Wire):
    """A node whose containers are not known."""

    node: str
    message: str


class StrayReport(Wire):
    """`GET /admin/strays`: what nodes have that the catalogue does not, as of `at`. It says nothing of the nodes in
    `unasked`."""

    at: AwareDatetime
    asked: tuple[str, ...] = ()
    strays: tuple[StrayContainer, ...] = ()
    unasked: tuple[UnaskedNode, ...] = ()
