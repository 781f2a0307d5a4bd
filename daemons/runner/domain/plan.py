"""From a claimed job to a plan: which steps, from which source, to which image names, to which node.

A plan is made before anything is cloned, so that a job that cannot be deployed costs nothing. Names of folders and
images come from here and are validated here.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from daemons.runner.domain.failures import WorkFailed
from protocol.apps import DeployApp
from protocol.configuration import AppConfig, with_all_secrets
from protocol.errors import JobReason
from protocol.jobs import ClaimedJob, JobPhase, JobType, StageOutcome, StoredPayload
from protocol.names import BaseUrl, GitRef, RepoUrl, git_host, public_path

_JOB_ID: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_DEFAULT_REF: Final = "main"
_DEFAULT_TAG: Final = "latest"
_DEFAULT_PORT: Final = 3000
_THERE: Final = (StageOutcome.DONE, StageOutcome.REUSED)
_URL: Final = TypeAdapter[str](RepoUrl)
_REF: Final = TypeAdapter[str](GitRef)
_AGENT: Final = TypeAdapter[str](BaseUrl)


@dataclass(frozen=True, slots=True)
class RegistryPolicy:
    """Where images go when the payload does not say. Without a host, runner and agent share one engine."""

    host: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One claim of a job: who it is and what proves that it is ours. The lease is in seconds; `runner_id` is who made
    the claim, where that was another process than this one."""

    job_id: str
    number: int
    lease_token: str | None
    lease_seconds: float
    runner_id: str | None = None

    @property
    def folder_name(self) -> str:
        """Name of the attempt's own work folder."""
        return f"{self.job_id}-{self.number}"


@dataclass(frozen=True, slots=True)
class Source:
    """What to clone. Exists only with an address and a reference that are safe to hand to git."""

    url: str
    ref: str
    submodules: bool = False

    def __post_init__(self) -> None:
        for adapter, value, name in ((_URL, self.url, "repoSshUrl"), (_REF, self.ref, "gitRef")):
            try:
                adapter.validate_python(value)
            except ValidationError as error:
                rule = error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")
                raise WorkFailed(JobReason.INVALID_PAYLOAD, f"{name} {rule}; nothing was cloned") from None

    @property
    def host(self) -> str:
        """The git host's name, in lower case."""
        return git_host(self.url)[0]

    @property
    def port(self) -> int:
        """Its SSH port."""
        return git_host(self.url)[1]

    @property
    def path(self) -> str:
        """The repository's path on that host, without the leading slash."""
        return urlsplit(self.url).path.removeprefix("/")

    def full_refs(self) -> tuple[str, ...]:
        """What to ask the server for, in this order: a branch wins over a tag of the same name."""
        if _COMMIT.fullmatch(self.ref) or self.ref.startswith("refs/"):
            return (self.ref,)
        return (f"refs/heads/{self.ref}", f"refs/tags/{self.ref}")


@dataclass(frozen=True, slots=True)
class ImageNames:
    """The names of one build: one that never moves, and the documented tag, which does."""

    immutable: str
    moving: str

    @property
    def all(self) -> tuple[str, ...]:
        """Both, without repetition, the immutable one first."""
        return tuple(dict.fromkeys((self.immutable, self.moving)))


@dataclass(frozen=True, slots=True)
class Pushed:
    """What an earlier attempt of the job pushed."""

    attempt: int
    image: str
    digest: str
    commit: str
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """How the image comes to be; `pushed` when it may be there already."""

    source: Source
    repository: str
    tag: str
    registry: str
    dockerfile: str | None = None
    context: str | None = None
    pushed: Pushed | None = None

    @property
    def name(self) -> str:
        """The repository without its registry's host."""
        return self.repository.removeprefix(f"{self.registry}/")

    def names(self, commit: str, serial: str) -> ImageNames:
        """Image names of a commit; `serial` is unique to the attempt among all of the app's."""
        return ImageNames(f"{self.repository}:{commit[:12]}-{serial}", f"{self.repository}:{self.tag}")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the steps need. Exactly one of `build` and `image` is there."""

    job_id: str
    user_id: str
    app_id: str
    agent_url: str
    fence: int | None
    serial: str
    container_port: int
    base_path: str
    health_check_path: str | None
    build: BuildPlan | None
    image: str | None
    config: AppConfig | None = None

    @property
    def steps(self) -> tuple[JobPhase, ...]:
        """The phases in their order."""
        if self.build is None:
            return (JobPhase.DEPLOY,)
        push = (JobPhase.PUSH,) if self.build.registry else ()
        return (JobPhase.CLONE, JobPhase.BUILD, *push, JobPhase.DEPLOY)

    def order(self, image: str) -> DeployApp:
        """What the agent is asked for."""
        return DeployApp(
            user_id=self.user_id,
            app_id=self.app_id,
            image=image,
            container_port=self.container_port,
            base_path=self.base_path,
            health_check_path=self.health_check_path,
            fence=self.fence,
            job_id=self.job_id,
            config=self.config,
        )


def attempt_of(job: ClaimedJob, lease_seconds: float) -> Attempt:
    """The attempt a claim started; `lease_seconds` is what was asked for, in case the answer does not say.

    Raises ValueError for a job id that cannot name a folder or stand in a URL.
    """
    if not _JOB_ID.fullmatch(job.id):
        raise ValueError("the control plane handed out a job whose id is not letters, digits and '-'")
    return Attempt(
        job.id, max(job.attempt, job.payload.attempt or 0), job.lease_token, job.lease_seconds or lease_seconds
    )


def plan(job: ClaimedJob, registry: RegistryPolicy) -> Plan:
    """The plan of a job. Raises WorkFailed when the job cannot be carried out, whatever would be built."""
    payload = job.payload
    if job.type is JobType.MIGRATE_APP and not payload.image:
        raise WorkFailed(JobReason.INVALID_PAYLOAD, "the move names no image, and a move builds nothing")
    return Plan(
        job_id=job.id,
        user_id=payload.user_id,
        app_id=payload.app_id,
        agent_url=_agent_url(job),
        fence=job.fence,
        serial=str(job.fence) if job.fence is not None else f"{job.id[:8].lower()}-{job.attempt}",
        container_port=payload.container_port or _DEFAULT_PORT,
        base_path=payload.base_path or public_path(payload.app_id),
        health_check_path=payload.health_check_path,
        build=None if payload.image else _build(job, registry),
        image=payload.image,
        config=_config(payload),
    )


def _config(payload: StoredPayload) -> AppConfig | None:
    try:
        return with_all_secrets(payload.config) if payload.config is not None else None
    except ValueError as error:
        raise WorkFailed(JobReason.INVALID_PAYLOAD, f"config.secrets: {error}; nothing was deployed") from None


def _agent_url(job: ClaimedJob) -> str:
    url = job.runtime_node.agent_base_url if job.runtime_node else None
    if not url:
        raise WorkFailed(
            JobReason.DEPLOY_FAILED,
            "no runtime node was assigned to this job, so nothing was cloned or built",
            advice="Check that a runtime node is registered, enabled and fresh and has free disk, then deploy again.",
        )
    try:
        return _AGENT.validate_python(url)
    except ValidationError:
        raise WorkFailed(
            JobReason.DEPLOY_FAILED,
            "the runtime node's agentBaseUrl is not http(s)://host[:port], so nothing was cloned or built",
            advice="Mend the node's agentBaseUrl, then deploy again.",
        ) from None


def _build(job: ClaimedJob, registry: RegistryPolicy) -> BuildPlan:
    payload = job.payload
    if not payload.repo_ssh_url:
        raise WorkFailed(JobReason.INVALID_PAYLOAD, "the job names neither an image nor a repository (repoSshUrl)")
    host = payload.acr_registry or registry.host
    namespace = payload.acr_namespace or registry.namespace
    name = f"{namespace}/u{payload.user_id}-app{payload.app_id}"
    repository = f"{host}/{name}" if host else name
    return BuildPlan(
        source=Source(payload.repo_ssh_url, payload.git_ref or _DEFAULT_REF, bool(payload.git_submodules)),
        repository=repository,
        tag=payload.image_tag or _DEFAULT_TAG,
        registry=host,
        pushed=_pushed(job, repository) if host else None,
        dockerfile=payload.dockerfile_path,
        context=payload.build_context,
    )


def _pushed(job: ClaimedJob, repository: str) -> Pushed | None:
    """What the newest attempt that came so far pushed into that repository: from there the next one goes on."""
    for stage in reversed(job.stages):
        if stage.phase != JobPhase.PUSH or stage.outcome not in _THERE:
            continue
        if stage.image_digest and stage.commit and (stage.image or "").startswith(f"{repository}:"):
            return Pushed(stage.attempt, stage.image or "", stage.image_digest, stage.commit, stage.bytes)
    return None
