"""Which form an action opens, and what it begins with."""

from collections.abc import Sequence
from typing import Any

from console.live.actions.spec import Action, Aim
from console.live.model import Model, World
from console.live.order import Wish, wish_of
from console.live.views.apps import AppRow
from console.live.views.users import USERS, room
from console.live.words import t
from console.screens.account_forms import AccountForm, PasswordForm
from console.screens.deploy_form import DeployForm, OwnersDeployForm
from console.screens.form import Form
from protocol.jobs import JobView


def form_of(action: Action[Any], aims: Sequence[Aim[Any]], world: World) -> Form:
    """The form, about the first of these objects or about none."""
    plane = aims[0].plane if aims else next(iter(world.planes), "")
    match action.id:
        case "user.password":
            return PasswordForm(aims[0].value, plane)
        case "user.add":
            return AccountForm(plane)
        case _:
            live = world.planes.get(plane)
            return _deploy(aims[0].value if aims else None, live.model if live else None, plane)


def _deploy(value: object, model: Model | None, plane: str) -> Form:
    """An app whose owner the API entry knows is deployed there; any other is what the operator says that it is."""
    jobs = tuple(model.jobs.values()) if model is not None else ()
    if isinstance(value, AppRow) and value.status is not None:
        owner = USERS.objects(model).get(value.user_id or "") if model is not None else None
        has = room(owner) if owner is not None else ""
        return OwnersDeployForm(value, t("Its owner has {room}.", room=has) if has else "", jobs, plane)
    job = value if isinstance(value, JobView) else None
    return DeployForm(wish_of(job.payload) if job else Wish(), job.payload if job else None, jobs, plane)
