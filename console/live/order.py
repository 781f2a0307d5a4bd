"""What an operator asks to be deployed, checked before it is sent. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from console.live.words import t
from protocol.api import StartDeployment
from protocol.base import Wire
from protocol.configuration import AppConfig
from protocol.jobs import CreateJob, JobPayload, JobType, JobView, StoredPayload

_OWN_FIELDS: Final = ("app_id", "user_id", "git_ref", "repo_ssh_url", "image")
#: What an owner orders; all else of a payload is completed by the API entry.
_OWNERS_FIELDS: Final = (
    *("git_ref", "git_submodules", "container_port", "base_path", "health_check_path"),
    *("dockerfile_path", "build_context", "config"),
)
Checked = TypeVar("Checked", bound=Wire)


class InvalidOrder(Exception):
    """The order cannot be sent; `field` names the part at fault as it is called on the wire."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed; empty text means absent. With an image nothing is built."""

    app_id: str = ""
    user_id: str = ""
    git_ref: str = ""
    repo: str = ""
    image: str = ""


def wish_of(payload: JobPayload) -> Wish:
    """The wish that led to a job, to be repeated or changed.

    A rollback names an image and where that once was built from; the wish behind it is the repository.
    """
    image = payload.image if payload.image and not payload.repo_ssh_url else ""
    return Wish(payload.app_id, payload.user_id, payload.git_ref or "", payload.repo_ssh_url or "", image)


def order(wish: Wish, earlier: StoredPayload | None = None, config: AppConfig | None = None) -> CreateJob:
    """The order of a wish; ports, paths, registry and, unless given, configuration are taken over from an `earlier` job
    of the same app.

    Raises InvalidOrder.
    """
    kept: dict[str, object] = {}
    if earlier is not None and earlier.app_id == wish.app_id.strip():
        fields = set(JobPayload.model_fields) - set(_OWN_FIELDS)
        kept = {key: value for key in fields if (value := getattr(earlier, key)) is not None}
    if config is not None:
        kept["config"] = config
    image = wish.image.strip()
    typed = {
        "app_id": wish.app_id.strip(),
        "user_id": wish.user_id.strip(),
        "git_ref": None if image else wish.git_ref.strip() or None,
        "repo_ssh_url": None if image else wish.repo.strip() or None,
        "image": image or None,
    }
    _complete(typed)
    payload = _valid(JobPayload, kept | typed)
    return CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload)


def owners_order(
    earlier: StoredPayload | None, git_ref: str, image: str, config: AppConfig | None = None
) -> StartDeployment:
    """What an app's owner would order: all that was ordered last, with another source where one is named.

    Raises InvalidOrder.
    """
    kept = {key: value for key in _OWNERS_FIELDS if (value := getattr(earlier, key, None)) is not None}
    source, of_image = git_ref.strip(), image.strip()
    if source and of_image:
        raise InvalidOrder("image", t("is deployed without a build; leave out the branch, tag or commit"))
    if of_image:
        kept = {key: value for key, value in kept.items() if key != "git_ref"}
    typed: dict[str, object] = {key: value for key, value in (("git_ref", source), ("image", of_image)) if value}
    if config is not None:
        typed["config"] = config
    return _valid(StartDeployment, kept | typed)


def _valid(kind: type[Checked], values: dict[str, object]) -> Checked:
    """Raises InvalidOrder."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False)[0]
        field = to_camel(str(problem["loc"][0])) if problem["loc"] else "payload"
        raise InvalidOrder(field, t(problem["msg"].removeprefix("Value error, "))) from None


def _complete(typed: dict[str, str | None]) -> None:
    if not typed["app_id"]:
        raise InvalidOrder("appId", t("is missing: the id of the app to deploy"))
    if not typed["user_id"]:
        raise InvalidOrder("userId", t("is missing: the id of the app's owner"))
    if not typed["image"] and not typed["repo_ssh_url"]:
        missing = t("is missing: give the repository to build, or an image to deploy as it is")
        raise InvalidOrder("repoSshUrl", missing)


def known(jobs: Iterable[JobView]) -> Mapping[str, tuple[str, ...]]:
    """What was ordered before, newest first, by the field of the form that it completes."""
    found: dict[str, dict[str, None]] = {"appId": {}, "userId": {}, "repoSshUrl": {}, "gitRef": {}, "image": {}}
    for job in sorted(jobs, key=lambda job: job.created_at, reverse=True):
        wish = wish_of(job.payload)
        values = (wish.app_id, wish.user_id, wish.repo, wish.git_ref, wish.image)
        for words, value in zip(found.values(), values, strict=True):
            words.setdefault(value)
    return {field: tuple(filter(None, words)) for field, words in found.items()}


def newest_of(app_id: str, jobs: Iterable[JobView]) -> StoredPayload | None:
    """The order of the app's newest job."""
    mine = [job for job in jobs if job.app_id == app_id]
    return max(mine, key=lambda job: job.created_at).payload if mine else None
