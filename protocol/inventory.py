"""The list of all apps there are, by which apps that nobody knows any more are found."""

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
