"""Clients of the API entry: people with a bearer token, operators with the admin token."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from pydantic import TypeAdapter

from protocol import headers
from protocol.accounts import AccountView, CreateAccount, SetAccountEnabled, SetAccountPassword, SetAccountRole
from protocol.api import (
    AddGitKey,
    AppDeletionView,
    AppDomainView,
    AppIds,
    AppInfo,
    CreateApp,
    DomainOfApp,
    GitKeyInfo,
    OpenedEditor,
    SlugAnswer,
    StartDeployment,
    StoppedDeployment,
    UpdateApp,
    UserInfo,
)
from protocol.app_details import AppDetail
from protocol.base import LATE
from protocol.client.running import SILENCE_SECONDS
from protocol.client.stream import payloads
from protocol.client.transport import Transport
from protocol.jobs import JobView
from protocol.nodes import ServiceHealth
from protocol.pushes import PushToDeployView, SetPushToDeploy
from protocol.releases import ReleasePage, RollbackJob
from protocol.running import AppLogEvent, AppLogQuery

_USERS: Final = "/api/fun-ai/admin/users"
_ACCOUNTS: Final = TypeAdapter(tuple[AccountView, ...], config=LATE)
_DELETIONS: Final = TypeAdapter(tuple[AppDeletionView, ...], config=LATE)
_APPS: Final = TypeAdapter(tuple[AppInfo, ...], config=LATE)
_CLAIMS: Final = TypeAdapter(tuple[AppDomainView, ...], config=LATE)
_DOMAINS: Final = "/api/fun-ai/app/domains"
_JOBS: Final = TypeAdapter(tuple[JobView, ...], config=LATE)
_KEYS: Final = TypeAdapter(tuple[GitKeyInfo, ...], config=LATE)
_NOTHING: Final[TypeAdapter[None]] = TypeAdapter(None, config=LATE)
_PUSHES: Final = "/api/fun-ai/app/push-to-deploy"
_STOP_SECONDS: Final = 70.0
#: An image may be pulled for the first container of a user.
_OPEN_SECONDS: Final = 360.0
_QUIET_BUILD_SECONDS: Final = 1800.0

Query = Mapping[str, str | int | None]


def bearer(token: str) -> dict[str, str]:
    """The header that carries a person's token."""
    return {headers.AUTHORIZATION: f"Bearer {token}"}


def _once(idempotency_key: str | None) -> dict[str, str]:
    return {headers.IDEMPOTENCY_KEY: idempotency_key} if idempotency_key else {}


class ApiClient:
    """What people call. The token says whose things these are; no call names a user."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def health(self) -> ServiceHealth:
        """The daemon is alive."""
        return await self.transport.call("GET", "/internal/health", ServiceHealth)

    async def ready(self) -> ServiceHealth:
        """The daemon is ready; raises Refused 503 that names the failing checks."""
        return await self.transport.call("GET", "/internal/ready", ServiceHealth)

    async def me(self) -> UserInfo:
        """Whose token this is."""
        return await self.transport.call("GET", "/api/fun-ai/user/me", UserInfo)

    async def create_app(self, order: CreateApp | None = None, *, idempotency_key: str | None = None) -> AppInfo:
        """A new app. Raises Refused 409 `app_limit` or `already_exists`."""
        path, body = "/api/fun-ai/app/create", order or CreateApp()
        return await self.transport.call("POST", path, AppInfo, body=body, headers=_once(idempotency_key))

    async def update_app(self, order: UpdateApp) -> AppInfo:
        """Another name, description, type or slug. Raises Refused 409 `already_exists`, `app_busy`."""
        return await self.transport.call("POST", "/api/fun-ai/app/update-basic", AppInfo, body=order)

    async def check_slug(self, slug: str, app_id: str | None = None) -> SlugAnswer:
        """Whether an app may have the slug; this app, if it is named."""
        query = {"appSlug": slug, "appId": app_id}
        return await self.transport.call("GET", "/api/fun-ai/app/slug/check", SlugAnswer, query=query)

    async def domains(self, app_id: str) -> tuple[AppDomainView, ...]:
        """Hosts that the app claims."""
        return await self.transport.call("GET", _DOMAINS, _CLAIMS, query={"appId": app_id})

    async def add_domain(self, app_id: str, host: str) -> AppDomainView:
        """Claim a host. Raises Refused 409 `already_exists` for too many."""
        body = DomainOfApp(app_id=app_id, host=host)
        return await self.transport.call("POST", _DOMAINS, AppDomainView, body=body)

    async def verify_domain(self, app_id: str, host: str) -> AppDomainView:
        """Have the proof looked for. Raises Refused 409 `not_proven`, `already_exists`."""
        body = DomainOfApp(app_id=app_id, host=host)
        return await self.transport.call("POST", f"{_DOMAINS}/verify", AppDomainView, body=body)

    async def remove_domain(self, app_id: str, host: str) -> AppDomainView:
        """Take a claim back."""
        query = {"appId": app_id, "host": host}
        return await self.transport.call("DELETE", _DOMAINS, AppDomainView, query=query)

    async def delete_app(self, app_id: str) -> AppDeletionView:
        """The app is gone, and what it has elsewhere is taken away; asked again, how far that came. Raises Refused
        404."""
        return await self.transport.call("POST", "/api/fun-ai/app/delete", AppDeletionView, query={"appId": app_id})

    async def open_editor(self, app_id: str) -> OpenedEditor:
        """The app's folder is there and one's container runs; nothing of the app is started. Raises Refused 404."""
        path, asked = "/api/fun-ai/app/open-editor", {"appId": app_id}
        return await self.transport.call("POST", path, OpenedEditor, query=asked, seconds=_OPEN_SECONDS)

    async def push_to_deploy(self, app_id: str) -> PushToDeployView:
        """Which pushes of an app are deployed, and what became of the newest. Raises Refused 404."""
        return await self.transport.call("GET", _PUSHES, PushToDeployView, query={"appId": app_id})

    async def set_push_to_deploy(self, order: SetPushToDeploy) -> PushToDeployView:
        """Change which are. Raises Refused 404."""
        return await self.transport.call("POST", _PUSHES, PushToDeployView, body=order)

    async def apps(self) -> tuple[AppInfo, ...]:
        """All one's apps."""
        return await self.transport.call("GET", "/api/fun-ai/app/list", _APPS)

    async def app(self, app_id: str) -> AppInfo:
        """One app."""
        return await self.transport.call("GET", "/api/fun-ai/app/info", AppInfo, query={"appId": app_id})

    async def deployed_apps(self, app_id: str | None = None) -> tuple[AppInfo, ...]:
        """One's apps that are deploying, ready or failed."""
        return await self.transport.call("GET", "/api/fun-ai/deploy/app/list", _APPS, query={"appId": app_id})

    async def deploy(
        self, app_id: str, order: StartDeployment | None = None, *, idempotency_key: str | None = None
    ) -> JobView:
        """Queue a deployment. Raises Refused 409 `app_busy` or `app_limit`."""
        path, query, body = "/api/fun-ai/deploy/job/create", {"appId": app_id}, order or StartDeployment()
        once = _once(idempotency_key)
        return await self.transport.call("POST", path, JobView, body=body, query=query, headers=once)

    async def job(self, job_id: str) -> JobView:
        """One job."""
        return await self.transport.call("GET", "/api/fun-ai/deploy/job/info", JobView, query={"jobId": job_id})

    async def jobs(self, limit: int = 50) -> tuple[JobView, ...]:
        """One's newest jobs."""
        return await self.transport.call("GET", "/api/fun-ai/deploy/job/list", _JOBS, query={"limit": limit})

    async def history(self, app_id: str, limit: int = 20) -> tuple[JobView, ...]:
        """The newest jobs of one app."""
        query: Query = {"appId": app_id, "limit": limit}
        return await self.transport.call("GET", "/api/fun-ai/deploy/job/history", _JOBS, query=query)

    async def cancel(self, job_id: str) -> JobView:
        """Cancel a job. Raises Refused 409 `too_late` or `illegal_transition`."""
        return await self.transport.call("POST", "/api/fun-ai/deploy/job/cancel", JobView, query={"jobId": job_id})

    async def retry(self, job_id: str, *, idempotency_key: str | None = None) -> JobView:
        """Queue the order of a job that failed or was cancelled once more. Raises Refused 409 `app_busy`,
        `illegal_transition`."""
        path, once = "/api/fun-ai/deploy/job/retry", _once(idempotency_key)
        return await self.transport.call("POST", path, JobView, query={"jobId": job_id}, headers=once)

    async def rollback(
        self, app_id: str, release: int | None = None, *, idempotency_key: str | None = None
    ) -> RollbackJob:
        """Deploy an earlier release without a build. Raises Refused 404, 409 `image_gone`, `app_busy`."""
        query: Query = {"appId": app_id, "release": release}
        path, once = "/api/fun-ai/deploy/app/rollback", _once(idempotency_key)
        return await self.transport.call("POST", path, RollbackJob, query=query, headers=once, seconds=_STOP_SECONDS)

    async def releases(self, app_id: str, *, cursor: str | None = None, limit: int = 50) -> ReleasePage:
        """What the app ran, newest first, a page at a time."""
        query: Query = {"appId": app_id, "cursor": cursor, "limit": limit}
        return await self.transport.call("GET", "/api/fun-ai/deploy/app/releases", ReleasePage, query=query)

    async def job_log(self, job_id: str, *, offset: int = 0, follow: bool = False) -> AsyncIterator[bytes]:
        """A job's log from `offset`; with `follow`, until the job ended."""
        query: Query = {"jobId": job_id, "offset": offset, "follow": 1 if follow else None}
        path = "/api/fun-ai/deploy/job/log"
        async with self.transport.stream(path, query=query, silence_seconds=_QUIET_BUILD_SECONDS) as response:
            async for chunk in response.aiter_raw():
                yield chunk

    async def app_log(self, app_id: str, asked: AppLogQuery | None = None) -> AsyncIterator[AppLogEvent]:
        """What the app writes: its tail, or what came after a cursor; with `follow`, what comes."""
        wanted = asked or AppLogQuery()
        query: Query = {**wanted.to_data(), "appId": app_id, "follow": 1 if wanted.follow else None}
        path = "/api/fun-ai/deploy/app/logs"
        async with self.transport.stream(path, query=query, silence_seconds=SILENCE_SECONDS) as response:
            async for data in payloads(response):
                yield AppLogEvent.model_validate_json(data)

    async def stop(self, app_id: str) -> StoppedDeployment:
        """Stop a running app."""
        path, query = "/api/fun-ai/deploy/app/stop", {"appId": app_id}
        return await self.transport.call("POST", path, StoppedDeployment, query=query, seconds=_STOP_SECONDS)

    async def keys(self) -> tuple[GitKeyInfo, ...]:
        """One's SSH keys."""
        return await self.transport.call("GET", "/api/fun-ai/git/keys", _KEYS)

    async def add_key(self, order: AddGitKey) -> GitKeyInfo:
        """Register an SSH key; it opens one's repositories when this answers."""
        return await self.transport.call("POST", "/api/fun-ai/git/keys", GitKeyInfo, body=order)

    async def remove_key(self, key_id: int) -> None:
        """Take an SSH key away."""
        await self.transport.call("DELETE", "/api/fun-ai/git/keys", _NOTHING, query={"keyId": key_id})


class ApiAdminClient:
    """What operators call."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def apps(self) -> tuple[AppInfo, ...]:
        """All apps of all users."""
        return await self.transport.call("GET", "/api/fun-ai/admin/apps", _APPS)

    async def deploy_for_owner(
        self, app_id: str, order: StartDeployment | None = None, *, idempotency_key: str | None = None
    ) -> JobView:
        """Queue a deployment as the app's owner would: what the order leaves out is completed, and the owner's limits
        hold. Raises Refused 404 for an app that is not there, 409 `app_limit` and `app_busy`."""
        path, body, given = "/api/fun-ai/admin/apps/deploy", order or StartDeployment(), _once(idempotency_key)
        return await self.transport.call("POST", path, JobView, body=body, query={"appId": app_id}, headers=given)

    async def roll_back_for_owner(
        self, app_id: str, release: int | None = None, *, idempotency_key: str | None = None
    ) -> RollbackJob:
        """Deploy an earlier release of somebody's app again; without a number the newest that differs."""
        path, query = "/api/fun-ai/admin/apps/rollback", {"appId": app_id, "release": release}
        return await self.transport.call("POST", path, RollbackJob, query=query, headers=_once(idempotency_key))

    async def stop_for_owner(self, app_id: str) -> StoppedDeployment:
        """Stop somebody's app, and free its owner's place."""
        path, query = "/api/fun-ai/admin/apps/stop", {"appId": app_id}
        return await self.transport.call("POST", path, StoppedDeployment, query=query, seconds=_STOP_SECONDS)

    async def delete_for_owner(self, app_id: str, user_id: str | None = None) -> AppDeletionView:
        """Delete somebody's app, who is the named user, if one is named; asked again, how far that came. Raises
        Refused 404."""
        query: Query = {"appId": app_id, "userId": user_id}
        return await self.transport.call("POST", "/api/fun-ai/admin/apps/delete", AppDeletionView, query=query)

    async def app_detail(self, app_id: str) -> AppDetail:
        """One app with its slug, hosts, repository and pushes, or how its deletion goes. Raises Refused 404."""
        return await self.transport.call("GET", "/api/fun-ai/admin/apps/show", AppDetail, query={"appId": app_id})

    async def app_deletions(self) -> tuple[AppDeletionView, ...]:
        """Deleted apps of which something is left, with what is in the way."""
        return await self.transport.call("GET", "/api/fun-ai/admin/app-deletions", _DELETIONS)

    async def app_ids(self) -> AppIds:
        """The ids of all apps."""
        return await self.transport.call("GET", "/api/fun-ai/internal/apps/ids", AppIds)

    async def accounts(self, offset: int = 0, limit: int = 200) -> tuple[AccountView, ...]:
        """Some accounts, by their ids, at most 1000. This and what follows is for admins alone."""
        query: Query = {"offset": offset, "limit": limit}
        return await self.transport.call("GET", f"{_USERS}/list", _ACCOUNTS, query=query)

    async def create_account(self, order: CreateAccount) -> AccountView:
        """A new account. Raises Refused 409 for a name, or a user, that has one; 400 for a weak password."""
        return await self.transport.call("POST", f"{_USERS}/create", AccountView, body=order)

    async def enable_account(self, order: SetAccountEnabled) -> AccountView:
        """Switch an account on, or off: then its sessions end at once."""
        return await self.transport.call("POST", f"{_USERS}/set-enabled", AccountView, body=order)

    async def set_account_role(self, order: SetAccountRole) -> AccountView:
        """Another role; the account's sessions end."""
        return await self.transport.call("POST", f"{_USERS}/set-role", AccountView, body=order)

    async def set_account_password(self, order: SetAccountPassword) -> AccountView:
        """Another password; the account's sessions end."""
        return await self.transport.call("POST", f"{_USERS}/set-password", AccountView, body=order)
