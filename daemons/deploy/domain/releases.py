"""Releases: what an app ran, which of them can come back, and which images nobody needs any more."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from daemons.deploy.domain.images import immutable_reference
from daemons.deploy.domain.jobs import Job
from protocol.configuration import AppConfig, without_secrets
from protocol.jobs import JobPayload, JobPhase
from protocol.names import public_path

#: `held_until` of a release whose image is being removed: nobody may go back to it or pin it.
BEING_REMOVED: Final = -1
#: So many different images of an app stay in the registry beside the pinned ones.
KEPT: Final = 3
_AFTER_BUILD: Final = (JobPhase.PUSH.value, JobPhase.DEPLOY.value)
_DEFAULT_PORT: Final = 3000
_DEFAULT_TAG: Final = "latest"
_DEFAULT_NAMESPACE: Final = "funaistudio"
_KEYS: Final = frozenset(str(field.alias) for field in JobPayload.model_fields.values()) - {"image"}


class ReleaseNotFound(LookupError):
    """The app has no such release."""

    def __init__(self, app_id: str, number: int) -> None:
        super().__init__(f"app {app_id} has no release {number}; see its list of releases")


class NothingToRollBackTo(LookupError):
    """There is no earlier release that would change anything."""

    def __init__(self, app_id: str, releases: int) -> None:
        why = "it was never deployed" if not releases else "no earlier one differs from the current one"
        super().__init__(f"app {app_id} has no release to roll back to: {why}")


class ImageMutable(Exception):
    """The release was deployed by a name that may mean something else by now."""

    def __init__(self, release: "Release") -> None:
        super().__init__(
            f"release {release.number} of app {release.app_id} was deployed as {release.image}, a tag that may have "
            "moved since; only a release by digest or by a tag of one commit can come back. Deploy the image you mean"
        )


class ImageGone(Exception):
    """The release's image is nowhere any more."""

    def __init__(self, release: "Release", why: str) -> None:
        super().__init__(
            f"the image of release {release.number} of app {release.app_id} is gone: {why}. Deploy its commit again "
            "or choose another release"
        )
        self.data = {"release": release.number, "image": release.image}


@dataclass(frozen=True, slots=True)
class Release:
    """One success. `payload` is what to submit to deploy it again, without the image. Times are epoch milliseconds:
    `held_until` keeps the image while somebody is about to deploy it, `image_removed_at` is when retention removed
    it."""

    app_id: str
    number: int
    user_id: str
    job_id: str
    image: str
    image_digest: str | None
    commit: str | None
    config_hash: str
    payload: Mapping[str, object]
    node_id: int | None
    created_at: int
    pinned: bool = False
    held_until: int = 0
    image_removed_at: int | None = None

    @property
    def reference(self) -> str | None:
        """The reference that names its bytes for good."""
        return immutable_reference(self.image, self.image_digest)

    def require_kept(self) -> None:
        """Raises ImageGone while retention removes the image."""
        if self.held_until == BEING_REMOVED:
            raise ImageGone(self, "it is just being removed from the registry, because newer releases took its place")


@dataclass(frozen=True, slots=True)
class Config:
    """How a release is run, defaults filled in. `run` is the app's own configuration, of its secrets only the names."""

    container_port: int
    base_path: str
    health_check_path: str
    run: Mapping[str, object] | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of their canonical JSON, as hexadecimal digits."""
        document: dict[str, object] = {
            "basePath": self.base_path,
            "containerPort": self.container_port,
            "healthCheckPath": self.health_check_path,
        }
        if self.run is not None:
            document["config"] = self.run
        return sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Review:
    """An app whose images in the registry are to be reviewed. `user_id` is set when the app was deleted and its whole
    repository may go. `version` rises with every request and take, and guards what is written afterwards."""

    app_id: str
    user_id: str | None
    not_before: int
    attempts: int
    last_error: str | None
    version: int


def config_of(app_id: str, payload: Mapping[str, object]) -> Config:
    """What runner and agent make of a payload."""
    port, base, health = (payload.get(key) for key in ("containerPort", "basePath", "healthCheckPath"))
    return Config(
        port if isinstance(port, int) else _DEFAULT_PORT,
        (base.rstrip("/") if isinstance(base, str) else "") or public_path(app_id),
        health if isinstance(health, str) and health else "/",
        _shown(payload.get("config")),
    )


def _shown(config: object) -> Mapping[str, object] | None:
    return without_secrets(AppConfig.model_validate(config)).to_data() if config is not None else None


def released(job: Job, number: int, node_id: int | None, before: Release | None, now: int) -> Release:
    """The release of a job that succeeded. `before` is an earlier one of the same image: deployed again without a
    build, it still is of that commit."""
    reference = immutable_reference(image_of(job), job.image_digest)
    digest = reference.partition("@")[2] if reference and "@" in reference else None
    return Release(
        app_id=job.app_id,
        number=number,
        user_id=job.user_id,
        job_id=job.id,
        image=image_of(job),
        image_digest=job.image_digest or digest,
        commit=job.commit or (before.commit if before else None),
        config_hash=config_of(job.app_id, job.payload).hash,
        payload={key: value for key, value in job.payload.items() if key in _KEYS},
        node_id=node_id,
        created_at=now,
    )


def image_of(job: Job) -> str:
    """The image a job deployed or would have built: `[registry/]namespace/u{userId}-app{appId}:{tag}`."""
    given = job.image or job.payload.get("image")
    if isinstance(given, str):
        return given
    registry, namespace = job.payload.get("acrRegistry"), job.payload.get("acrNamespace") or _DEFAULT_NAMESPACE
    prefix = f"{registry}/{namespace}" if registry else str(namespace)
    return f"{prefix}/u{job.user_id}-app{job.app_id}:{job.payload.get('imageTag') or _DEFAULT_TAG}"


def may_have_pushed(job: Job) -> bool:
    """Whether the registry may hold an image that this job built; existing runners tell only what they are doing."""
    if "image" in job.payload:
        return False
    return job.phase in _AFTER_BUILD or any(stage.phase == JobPhase.PUSH.value for stage in job.stages)


def previous(app_id: str, newest_first: Sequence[Release]) -> Release:
    """The newest release before the current one that differs from it in image or configuration.

    Raises NothingToRollBackTo.
    """
    if newest_first:
        current = newest_first[0]
        for release in newest_first[1:]:
            if (release.image, release.config_hash) != (current.image, current.config_hash):
                return release
    raise NothingToRollBackTo(app_id, len(newest_first))


def superfluous(newest_first: Sequence[Release], in_use: Collection[str], now: int) -> tuple[Release, ...]:
    """Releases whose image may go: not the current one's, not one of the newest `KEPT` different ones, not pinned, not
    held, not what an active job deploys (`in_use`), and not removed already. Images are compared by what they are, so
    that a release keeps the image of every other that shares it."""
    present = [release for release in newest_first if release.image_removed_at is None]
    newest = tuple(dict.fromkeys(map(_identity, present)))[:KEPT]
    held = (_identity(release) for release in present if release.pinned or release.held_until > now)
    kept = {*newest, *held, *_identities(in_use)}
    return tuple(release for release in present if _identity(release) not in kept)


def stays(newest_first: Sequence[Release], now: int) -> tuple[tuple[Release, ...], tuple[Release, ...]]:
    """Releases whose image no node may remove (of the current and of the previous different one, pinned, held), and
    those that share an image with one of the newest `KEPT` different ones and stay while there is room."""
    order = tuple(dict.fromkeys(map(_identity, newest_first)))
    never = set(order[:2]) | {_identity(each) for each in newest_first if each.pinned or each.held_until > now}
    recent = set(order[:KEPT]) - never
    return (
        tuple(each for each in newest_first if _identity(each) in never),
        tuple(each for each in newest_first if _identity(each) in recent),
    )


def _identity(release: Release) -> str:
    return release.reference or release.image


def _identities(images: Iterable[str]) -> Iterable[str]:
    return (immutable_reference(image, None) or image for image in images)
