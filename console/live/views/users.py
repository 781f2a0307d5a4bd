"""Users as the control plane knows them: whose jobs and apps there are. Pure."""

from typing import Final

from console.live.cells import Column, Tone
from console.live.derived import Derived
from console.live.model import Model, Scene
from console.live.plain import line
from console.live.views.spec import ViewSpec, counted, worded
from console.live.words import t, tn
from protocol.base import Wire
from protocol.jobs import JobStatus


class UserRow(Wire):
    """What one user has."""

    user_id: str
    apps: tuple[str, ...] = ()
    waiting: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0


def _rows(model: Model) -> dict[str, UserRow]:
    backlog = model.beside.backlog
    return {
        user: UserRow(
            user_id=user,
            apps=tuple(sorted(backlog.apps_of(user))),
            waiting=counts.get(JobStatus.PENDING, 0),
            running=counts.get(JobStatus.RUNNING, 0),
            succeeded=counts.get(JobStatus.SUCCEEDED, 0),
            failed=counts.get(JobStatus.FAILED, 0),
        )
        for user, counts in backlog.users().items()
    }


def _has(user: UserRow) -> str:
    apps = tn("{count} app", "{count} apps", len(user.apps))
    waiting = tn("{count} job waits", "{count} jobs wait", user.waiting)
    return f"{apps} · {waiting} · {tn('{count} runs', '{count} run', user.running)}"


def sheet(user: UserRow, _: Scene) -> tuple[str, ...]:
    """What is known of one user in three lines."""
    return (
        line(f"{t('user {user}', user=user.user_id)} · {_has(user)}"),
        line(
            t(
                "{succeeded} succeeded, {failed} failed among the jobs that are shown",
                succeeded=user.succeeded,
                failed=user.failed,
            )
        ),
        line(t("apps {names}", names=", ".join(user.apps)), 400),
    )


USERS: Final = ViewSpec[UserRow](
    name="users",
    title="Users",
    objects=Derived(lambda model: (model.beside.backlog, model.beside.backlog.version), _rows),
    order="user",
    words=lambda user, _: line(f"{user.user_id} {' '.join(user.apps)}"),
    sheet=sheet,
    empty="No user has any job yet.",
    fields=(
        worded("user", Column("USER", 12), lambda user: user.user_id, Tone.STRONG),
        counted("apps", Column("APPS", 5, right=True), lambda user: len(user.apps)),
        counted("waiting", Column("WAIT", 5, right=True), lambda user: user.waiting),
        counted("running", Column("RUN", 5, right=True), lambda user: user.running),
        counted("succeeded", Column("DONE", 6, right=True), lambda user: user.succeeded),
        counted("failed", Column("FAIL", 5, right=True), lambda user: user.failed),
        worded("names", Column("THEIR APPS", 0, flex=True), lambda user: ", ".join(user.apps), Tone.QUIET),
    ),
)
