"""What admins do with the accounts of users. Pure."""

from collections.abc import Callable
from typing import Any, Final

from console.live.actions.orders import SetAccount, SetRole
from console.live.actions.spec import Action, Danger, Option, Reads
from console.live.model import Scene
from console.live.plain import line
from console.live.views.users import UserRow, name_of
from console.live.words import later, t
from protocol.accounts import Role

_VIEWS: Final = ("users",)
_RIGHTS: Final = {
    Role.USER: later("has apps and a workspace of their own"),
    Role.OPERATOR: later("sees everything, and runs the platform"),
    Role.ADMIN: later("may do everything, also with accounts and with what is in workspaces"),
}


def user_name(user: UserRow, _: Scene) -> str:
    """What a user is called in questions."""
    return line(t("user {user}", user=name_of(user)))


def user_word(user: UserRow) -> str:
    """What has to be typed before something is done to the user."""
    return user.user_name or user.user_id


def role_options(user: UserRow) -> tuple[Option, ...]:
    """What a user may be."""
    return tuple(
        Option(
            role.value,
            f"{role.value} · {t(_RIGHTS[role])}",
            role,
            t("that is so already") if role is user.role else None,
        )
        for role in Role
    )


def no_account(user: UserRow, _: Scene) -> str | None:
    """Why nothing can be done with the account: there is none, or this operator may not see it."""
    return None if user.role is not None else t("no account is known; only admins see and change accounts")


def _unchangeable(enabled: bool) -> Callable[[UserRow, Scene], str | None]:
    def refusal(user: UserRow, scene: Scene) -> str | None:
        if user.enabled is enabled:
            return t("that is so already")
        return no_account(user, scene)

    return refusal


def _role(user: UserRow, _: Scene, option: Option | None) -> SetRole | None:
    role = option.value if option is not None else None
    return SetRole(user.user_id, name_of(user), role) if isinstance(role, Role) else None


ACTIONS: Final[tuple[Action[Any], ...]] = (
    Action[UserRow](
        id="user.add",
        title="New account",
        ask="New account?",
        verb="Make",
        tooltip="Make an account for a new user",
        order=lambda _user, _scene, _option: None,
        key="c",
        views=_VIEWS,
        danger=Danger.NONE,
        reads=Reads.FORM,
        footer=True,
    ),
    Action[UserRow](
        id="user.password",
        title="Set password",
        ask="Set the password of {name}?",
        verb="Set",
        tooltip="Give a user who has forgotten theirs another password",
        noun="user",
        order=lambda _user, _scene, _option: None,
        key="p",
        views=_VIEWS,
        name=user_name,
        refusal=no_account,
        danger=Danger.NONE,
        reads=Reads.FORM,
        footer=True,
    ),
    Action[UserRow](
        id="user.role",
        title="Set role",
        ask="Let {name} be {option}?",
        verb="Set",
        tooltip="Let a user be an operator, an admin, or neither",
        noun="user",
        key="m",
        views=_VIEWS,
        name=user_name,
        typed=user_word,
        refusal=no_account,
        consequence=lambda _user, _scene: t("Every session of the user is over."),
        order=_role,
        danger=Danger.DESTRUCTIVE,
        reads=Reads.ROLES,
        footer=True,
    ),
    Action[UserRow](
        id="user.enable",
        title="Enable account",
        ask="Let {name} log in again?",
        ask_many="Let {count} users log in again?",
        verb="Enable",
        tooltip="Let users log in again",
        noun="user",
        key="e",
        views=_VIEWS,
        name=user_name,
        refusal=_unchangeable(enabled=True),
        consequence=lambda _user, _scene: t("Their password is the one they had."),
        order=lambda user, _scene, _option: SetAccount(user.user_id, name_of(user), True),
        several=True,
        footer=True,
    ),
    Action[UserRow](
        id="user.disable",
        title="Disable account",
        ask="Let {name} log in no more?",
        ask_many="Let {count} users log in no more?",
        verb="Disable",
        tooltip="Let users log in no more; their apps go on running",
        noun="user",
        key="x",
        views=_VIEWS,
        name=user_name,
        typed=user_word,
        refusal=_unchangeable(enabled=False),
        consequence=lambda _user, _scene: t(
            "Sessions, API keys and tokens are refused from then on; apps and workspace go on."
        ),
        order=lambda user, _scene, _option: SetAccount(user.user_id, name_of(user), False),
        danger=Danger.DESTRUCTIVE,
        several=True,
        footer=True,
    ),
)
