"""What an operator may do, as a narrow port."""

from typing import Protocol

from console.live.books import Catalogue, EntryBooks, Housed, Pending, Plans, WorkspaceBooks
from protocol.accounts import AccountView, CreateAccount, SetAccountEnabled, SetAccountPassword, SetAccountRole
from protocol.api import AppDeletionView, StartDeployment, StoppedDeployment
from protocol.apps import AppCommand, AppStopped
from protocol.drains import DrainDetail, StartDrain
from protocol.jobs import CreateJob, JobView, RetryJob
from protocol.nodes import NodeCollected, ReassignApp, RunnerView
from protocol.operations import OperationView
from protocol.releases import ReleaseView, RollbackApp, RollbackJob
from protocol.webhooks import DeliveryView
from protocol.workspace_moves import WorkspaceMove, WorkspaceNodeDrain
from protocol.workspace_nodes import RawWorkspaceNode
from protocol.workspace_operators import WorkspaceStanding


class WorkspaceCommands(WorkspaceBooks, Protocol):
    """The mutating calls about workspaces; each raises ClientError. The API entry's admin client fits it by shape."""

    async def start_workspace(self, user_id: str) -> WorkspaceStanding:
        """Its container runs afterwards."""
        ...

    async def stop_workspace(self, user_id: str) -> WorkspaceStanding:
        """Its container has ended."""
        ...

    async def start_move(self, user_id: str, target: int | None = None) -> WorkspaceMove:
        """Let it live on another node."""
        ...

    async def drain_node(self, node_id: int, target: int | None = None) -> WorkspaceNodeDrain:
        """Move all users of a node away."""
        ...

    async def cordon(self, node_id: int, *, cordoned: bool) -> RawWorkspaceNode:
        """Let a node take no new users, or again."""
        ...


class EntryCommands(EntryBooks, Protocol):
    """The mutating calls about users and their apps; each raises ClientError. The API entry's admin client fits it by
    shape."""

    async def deploy_for_owner(
        self, app_id: str, order: StartDeployment | None = None, *, idempotency_key: str | None = None
    ) -> JobView:
        """Deploy an app as its owner would."""
        ...

    async def roll_back_for_owner(
        self, app_id: str, release: int | None = None, *, idempotency_key: str | None = None
    ) -> RollbackJob:
        """Deploy an earlier release of somebody's app again."""
        ...

    async def stop_for_owner(self, app_id: str) -> StoppedDeployment:
        """Stop somebody's app, and free its owner's place."""
        ...

    async def delete_for_owner(self, app_id: str, user_id: str | None = None) -> AppDeletionView:
        """Delete somebody's app, everywhere and for good."""
        ...

    async def create_account(self, order: CreateAccount) -> AccountView:
        """A new account."""
        ...

    async def enable_account(self, order: SetAccountEnabled) -> AccountView:
        """Switch an account on or off."""
        ...

    async def set_account_role(self, order: SetAccountRole) -> AccountView:
        """Another role."""
        ...

    async def set_account_password(self, order: SetAccountPassword) -> AccountView:
        """Another password."""
        ...


class Lookups(Pending, Plans, Catalogue, Housed, Protocol):
    """What is read before an action can be asked about; each raises ClientError."""


class Commands(Lookups, Protocol):
    """The mutating calls of the console, called by `console.live.actions.gate` alone; each raises ClientError. The
    deploy control plane's admin client fits it by shape."""

    @property
    def api_plane(self) -> EntryCommands:
        """What can be done with users and their apps. Raises ClientError where nothing is known of the API entry."""
        ...

    @property
    def workspace_plane(self) -> WorkspaceCommands:
        """What can be done with workspaces. Raises ClientError where nothing is known of the API entry."""
        ...

    async def create(self, order: CreateJob, *, idempotency_key: str | None = None) -> JobView:
        """A new job."""
        ...

    async def retry(
        self,
        job_id: str,
        order: RetryJob | None = None,
        *,
        idempotency_key: str | None = None,
        expected: str | None = None,
    ) -> JobView:
        """A new job with the order of an ended one."""
        ...

    async def cancel(self, job_id: str, *, expected: str | None = None) -> JobView:
        """Cancel a job."""
        ...

    async def set_enabled(self, name: str, *, enabled: bool, expected: str | None = None) -> str:
        """Cordon or uncordon a node."""
        ...

    async def collect(self, name: str, *, expected: str | None = None) -> NodeCollected:
        """Have a node remove what nobody needs."""
        ...

    async def start_drain(self, order: StartDrain, *, expected: str | None = None) -> DrainDetail:
        """Drain a node."""
        ...

    async def pause_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Start no further move."""
        ...

    async def resume_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Go on."""
        ...

    async def undo_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Move everything back."""
        ...

    async def cancel_drain(self, drain_id: int, *, expected: str | None = None) -> DrainDetail:
        """Leave out what has not begun."""
        ...

    async def set_drained(self, runner_id: str, *, drained: bool, expected: str | None = None) -> RunnerView:
        """Let a runner take no more work, or take work again."""
        ...

    async def reassign(self, order: ReassignApp, *, expected: str | None = None) -> str:
        """Move one placement."""
        ...

    async def stop_app(self, command: AppCommand, *, expected: str | None = None) -> AppStopped:
        """Stop an app."""
        ...

    async def rollback(
        self, app_id: str, order: RollbackApp, *, idempotency_key: str | None = None, expected: str | None = None
    ) -> RollbackJob:
        """Deploy an earlier release again."""
        ...

    async def pin_release(self, app_id: str, number: int, *, pinned: bool) -> ReleaseView:
        """Keep a release's image, or no longer."""
        ...

    async def retry_operation(self, number: int) -> OperationView:
        """Have an operation tried now."""
        ...

    async def abandon_operation(self, number: int) -> OperationView:
        """Give an operation up."""
        ...

    async def retry_webhook(self, number: int) -> DeliveryView:
        """Send a result again."""
        ...
