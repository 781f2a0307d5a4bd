"""The part of the platform's twin that knows of users and whose apps are whose: the API entry's operators' side."""

from collections.abc import Callable

from protocol.accounts import (
    AccountView,
    CreateAccount,
    Role,
    SetAccountEnabled,
    SetAccountPassword,
    SetAccountRole,
)
from protocol.api import (
    AppDeletionView,
    AppDomainView,
    AppInfo,
    AppPart,
    AppState,
    RepoStatus,
    StartDeployment,
    StoppedDeployment,
)
from protocol.app_details import AppDetail
from protocol.client.transport import Refused
from protocol.jobs import JobView
from protocol.pushes import PushToDeployView, PushView
from protocol.releases import PresentIn, RollbackJob
from tests.console.samples import ago, job, payload

_GIT = "ssh://git@git.example.org:2222/funai"


def owned(number: int, user_id: int, name: str, status: AppState = AppState.READY, **more: object) -> AppInfo:
    live = status in (AppState.READY, AppState.FAILED)
    fields: dict[str, object] = {
        "id": number,
        "user_id": user_id,
        "app_name": name,
        "app_status": status,
        "deploy_url": f"http://127.0.0.1:8088/runtime/{number}/" if live else None,
        "repo_ssh_url": f"{_GIT}/u{user_id}-app{number}.git",
        "repo_status": RepoStatus.READY,
        "app_slug": name if number == 20001 else None,
        "create_time": ago(900_000),
        "update_time": ago(900),
    }
    return AppInfo.model_validate(fields | more)


def account(user_id: int, name: str, role: Role = Role.USER, **more: object) -> AccountView:
    fields: dict[str, object] = {
        "user_id": user_id,
        "user_name": name,
        "role": role,
        "enabled": True,
        "create_time": ago(2_000_000),
        "last_login_time": ago(4_000 * user_id),
    }
    return AccountView.model_validate(fields | more)


def claim(number: int, host: str, *, verified: bool) -> AppDomainView:
    return AppDomainView(
        app_id=number,
        host=host,
        verified=verified,
        record_name=f"_funai-verify.{host}",
        record_value="funai-verify=0123456789abcdef0123456789abcdef",
        create_time=ago(800),
        verified_at=ago(700) if verified else None,
    )


def deletion(number: int, user_id: int, name: str, **more: object) -> AppDeletionView:
    fields: dict[str, object] = {
        "app_id": number,
        "user_id": user_id,
        "app_name": name,
        "complete": False,
        "left": tuple(AppPart),
        "asked_at": ago(0),
        "message": f"{name} is gone; what is left elsewhere is taken away without another call",
    }
    return AppDeletionView.model_validate(fields | more)


class Entry:
    """`owned` are the apps, `people` the accounts by user; `role` is what the operator who asks may do. `claims` and
    `pushes` are what apps have of hosts and of push-to-deploy, `deleted` how deletions go, also those that are over;
    nothing goes on by itself. `publish` has the control plane know of a job; `reached` raises while nobody answers."""

    def __init__(
        self, reached: Callable[[], None], calls: list[tuple[str, ...]], publish: Callable[[JobView], None]
    ) -> None:
        self.reached = reached
        self.calls = calls
        self.publish = publish
        self.role = Role.ADMIN
        self.owned: dict[int, AppInfo] = {}
        self.deleted: tuple[AppDeletionView, ...] = ()
        self.claims: tuple[AppDomainView, ...] = ()
        self.pushes: dict[int, PushToDeployView] = {}
        self.people: dict[int, AccountView] = {}
        self.ordered: list[StartDeployment] = []
        self.passwords: list[str] = []
        self.refusal: Refused | None = None

    def furnish(self) -> None:
        """Something of everything."""
        every = (
            owned(20001, 1, "shop", AppState.DEPLOYING, deploy_url="http://127.0.0.1:8088/runtime/20001/"),
            owned(20003, 2, "weather", AppState.FAILED, last_deploy_error="npm ci ended with exit code 1"),
            owned(20005, 2, "notes", AppState.UPLOADED),
            owned(20007, 3, "quiz"),
            owned(
                *(20011, 1, "blog", AppState.CREATED),
                repo_status=RepoStatus.FAILED,
                repo_reason="the git server does not answer",
            ),
        )
        self.owned = {each.id: each for each in every}
        left = (AppPart.WORKSPACE, AppPart.REPOSITORY)
        away = "workspace: workspace node ws-node-03 does not answer"
        self.deleted = (
            deletion(20009, 3, "old-site", left=left, attempts=4, problem=away, asked_at=ago(700)),
            deletion(20010, 3, "older-site", left=(), complete=True, asked_at=ago(7_000), completed_at=ago(6_900)),
        )
        self.claims = (
            claim(20001, "shop.example", verified=True),
            claim(20001, "www.shop.example", verified=False),
        )
        push = PushView(branch="main", commit="89abcdef" * 5, received_at=ago(400), job_id="7c1e09aa-11d0")
        rule = PushToDeployView(app_id=20001, enabled=True, branches=("main", "release/1"), last_push=push)
        self.pushes = {20001: rule}
        people = (
            account(1, "alice", Role.ADMIN),
            account(2, "bob", Role.OPERATOR),
            account(3, "carol", enabled=False),
            account(5, "dave", last_login_time=None),
        )
        self.people = {each.user_id: each for each in people}

    async def apps(self) -> tuple[AppInfo, ...]:
        self.reached()
        return tuple(self.owned.values())

    async def app_deletions(self) -> tuple[AppDeletionView, ...]:
        self.reached()
        return tuple(each for each in self.deleted if not each.complete)

    async def app_detail(self, app_id: str) -> AppDetail:
        self.reached()
        for each in self.deleted:
            if str(each.app_id) == app_id:
                return AppDetail(app_id=each.app_id, user_id=each.user_id, deletion=each)
        app = self._app(app_id)
        off = PushToDeployView(app_id=app.id, enabled=False, branches=("main",))
        return AppDetail(
            app_id=app.id,
            user_id=app.user_id,
            app=app,
            domains=tuple(each for each in self.claims if each.app_id == app.id),
            push_to_deploy=self.pushes.get(app.id, off),
        )

    async def delete_for_owner(self, app_id: str, user_id: str | None = None) -> AppDeletionView:
        app = self._app(app_id)
        if user_id not in (None, str(app.user_id)):
            raise Refused(404, f"there is no app {app_id} of user {user_id}", "not_found")
        self.calls.append(("delete_for_owner", app_id, str(user_id)))
        del self.owned[app.id]
        begun = deletion(app.id, app.user_id, app.app_name)
        self.deleted = (*self.deleted, begun)
        return begun

    def taken_away(self, number: int, *parts: AppPart, problem: str | None = None) -> None:
        """Of a deletion, these parts; `problem` is what is in the way of the others."""
        done = []
        for each in self.deleted:
            if each.app_id == number:
                left = tuple(part for part in each.left if part not in parts)
                said = {"left": left, "complete": not left, "problem": problem, "attempts": each.attempts + 1}
                each = each.model_copy(update=said)
            done.append(each)
        self.deleted = tuple(done)

    async def accounts(self, offset: int = 0, limit: int = 200) -> tuple[AccountView, ...]:
        self._admin()
        return tuple(self.people.values())[offset : offset + limit]

    async def deploy_for_owner(
        self, app_id: str, order: StartDeployment | None = None, *, idempotency_key: str | None = None
    ) -> JobView:
        app = self._app(app_id)
        self.ordered.append(order or StartDeployment())
        self.calls.append(("deploy_for_owner", app_id, self.ordered[-1].git_ref or "", str(bool(idempotency_key))))
        made = job("owner000-0001", app=app_id, payload=payload(app_id, str(app.user_id)))
        self.publish(made)
        return made

    async def roll_back_for_owner(
        self, app_id: str, release: int | None = None, *, idempotency_key: str | None = None
    ) -> RollbackJob:
        app = self._app(app_id)
        self.calls.append(("roll_back_for_owner", app_id, str(release)))
        made = job("back0000-0002", app=app_id, payload=payload(app_id, str(app.user_id)))
        self.publish(made)
        known = {name: getattr(made, name) for name in JobView.model_fields}
        return RollbackJob(**known, release=release or 1, present_in=PresentIn.REGISTRY)

    async def stop_for_owner(self, app_id: str) -> StoppedDeployment:
        app = self._app(app_id)
        self.calls.append(("stop_for_owner", app_id))
        self.owned[app.id] = app.model_copy(update={"app_status": AppState.UPLOADED, "deploy_url": None})
        return StoppedDeployment(user_id=app.user_id, app_id=app_id)

    async def create_account(self, order: CreateAccount) -> AccountView:
        self._admin()
        self.calls.append(("create_account", order.user_name, order.role.value))
        self.passwords.append(order.password)
        made = account(max(self.people, default=0) + 1, order.user_name, order.role, last_login_time=None)
        self.people[made.user_id] = made
        return made

    async def enable_account(self, order: SetAccountEnabled) -> AccountView:
        return self._changed("enable_account", order.user_id, {"enabled": order.enabled})

    async def set_account_role(self, order: SetAccountRole) -> AccountView:
        return self._changed("set_account_role", order.user_id, {"role": order.role})

    async def set_account_password(self, order: SetAccountPassword) -> AccountView:
        self._admin()
        self.passwords.append(order.password)
        return self._changed("set_account_password", order.user_id, {})

    def _changed(self, call: str, user_id: str, update: dict[str, object]) -> AccountView:
        self._admin()
        if int(user_id) not in self.people:
            raise Refused(404, f"user {user_id} has no account", "not_found")
        self.calls.append((call, user_id, *map(str, update.values())))
        changed = self.people[int(user_id)].model_copy(update=update)
        self.people[changed.user_id] = changed
        return changed

    def _app(self, app_id: str) -> AppInfo:
        self.reached()
        if self.refusal is not None:
            raise self.refusal
        if not app_id.isdecimal() or int(app_id) not in self.owned:
            raise Refused(404, f"there is no app {app_id}", "not_found")
        return self.owned[int(app_id)]

    def _admin(self) -> None:
        self.reached()
        if not self.role.covers(Role.ADMIN):
            raise Refused(403, "this needs the role admin; ask somebody who has it", "forbidden")
        if self.refusal is not None:
            raise self.refusal
