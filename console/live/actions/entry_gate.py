"""The part of the gate that leads to the API entry: users, and their apps as their owners would change them."""

from dataclasses import dataclass
from typing import assert_never

from console.live.actions.orders import (
    AccountOrder,
    AddAccount,
    DeleteForOwner,
    DeployForOwner,
    EntryOrder,
    RollBackForOwner,
    SetAccount,
    SetPassword,
    SetRole,
    StopForOwner,
)
from console.live.actions.workspace_gate import NotSent
from console.live.commands import Commands, EntryCommands
from console.live.order import InvalidOrder, owners_order
from console.live.plain import line
from console.live.views.jobs import short
from console.live.words import t
from protocol import versions
from protocol.accounts import AccountView, CreateAccount, SetAccountEnabled, SetAccountPassword, SetAccountRole
from protocol.api import AppDeletionView


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an order, in a sentence; `job_id` is the job that it made, where one follows that."""

    sentence: str
    job_id: str = ""


async def carry_out_at_entry(plane: Commands, order: EntryOrder, key: str) -> Outcome:
    """Send an order and say what came of it. Raises ClientError and NotSent."""
    match order:
        case DeployForOwner():
            return await _deploy(plane, order, key)
        case RollBackForOwner():
            return await _back(plane, order, key)
        case StopForOwner(app_id):
            done = await plane.api_plane.stop_for_owner(app_id)
            if done.pending:
                return Outcome(t("App {app} will be stopped as soon as its node answers.", app=app_id))
            return Outcome(t("App {app} is stopped.", app=app_id))
        case DeleteForOwner(app_id, user_id):
            return Outcome(_deleted(await plane.api_plane.delete_for_owner(app_id, user_id)))
        case _:
            return Outcome(await _account(plane.api_plane, order))


async def _deploy(plane: Commands, order: DeployForOwner, key: str) -> Outcome:
    """What its owner ordered last is ordered again: an app that listens elsewhere than others goes on to."""
    newest = (await plane.page(app_id=order.app_id, limit=1)).items
    try:
        wanted = owners_order(newest[0].payload if newest else None, order.git_ref, order.image)
    except InvalidOrder as problem:
        raise NotSent(t("{field} {problem}", field=problem.field, problem=problem.message)) from None
    job = await plane.api_plane.deploy_for_owner(order.app_id, wanted, idempotency_key=key)
    return Outcome(t("Job {job} for app {app} was created.", job=short(job.id), app=line(job.app_id)), job.id)


async def _back(plane: Commands, order: RollBackForOwner, key: str) -> Outcome:
    newest = (await plane.releases(order.app_id, limit=1)).items
    if order.version != versions.of_releases(newest[0].number if newest else None):
        why = t("App {app} was not rolled back: it has another release by now; look at it again.", app=order.app_id)
        raise NotSent(why)
    job = await plane.api_plane.roll_back_for_owner(order.app_id, order.release, idempotency_key=key)
    said = t(
        "App {app} goes back to release {number} with job {job}.",
        app=order.app_id,
        number=job.release,
        job=short(job.id),
    )
    return Outcome(said, job.id)


def _deleted(done: AppDeletionView) -> str:
    if done.complete:
        return t("App {app} was deleted, nothing is left of it.", app=done.app_id)
    left = ", ".join(part.value for part in done.left)
    return t("App {app} is being deleted; left: {parts}. Its page says how far that is.", app=done.app_id, parts=left)


async def _account(entry: EntryCommands, order: AccountOrder) -> str:
    match order:
        case SetAccount(user_id, _, enabled):
            done = await entry.enable_account(SetAccountEnabled(user_id=user_id, enabled=enabled))
            if done.enabled:
                return t("User {user} can log in again.", user=_named(done))
            return t("User {user} cannot log in any more; every session is over.", user=_named(done))
        case SetRole(user_id, _, role):
            done = await entry.set_account_role(SetAccountRole(user_id=user_id, role=role))
            return t("User {user} is {role} now; sessions are over.", user=_named(done), role=done.role.value)
        case SetPassword(user_id, _, password):
            done = await entry.set_account_password(SetAccountPassword(user_id=user_id, password=password))
            return t("User {user} has another password; sessions are over.", user=_named(done))
        case AddAccount(name, role, password, user_id):
            wanted = CreateAccount(user_name=name, password=password, role=role, user_id=user_id)
            made = await entry.create_account(wanted)
            return t("User {user} was made, with the role {role}.", user=_named(made), role=made.role.value)
        case _:
            assert_never(order)


def _named(account: AccountView) -> str:
    return line(f"{account.user_id} ({account.user_name})")


def failed_at_entry(order: EntryOrder) -> str:
    """How the sentence about a failure begins."""
    match order:
        case DeployForOwner():
            return t("Nothing was deployed")
        case RollBackForOwner(app_id=app_id):
            return t("App {app} was not rolled back", app=app_id)
        case StopForOwner(app_id):
            return t("App {app} was not stopped", app=app_id)
        case DeleteForOwner(app_id=app_id):
            return t("App {app} was not deleted", app=app_id)
        case AddAccount(name=name):
            return t("User {user} was not made", user=name)
        case SetAccount(name=name) | SetRole(name=name) | SetPassword(name=name):
            return t("User {user} was not changed", user=name)
        case _:
            assert_never(order)
