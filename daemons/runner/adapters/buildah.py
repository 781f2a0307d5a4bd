"""Builds and pushes with buildah: no daemon, no privileges, one storage for this runner.

Every call runs in an enclosure. Layers stay in the storage for the next build; working containers of a build that was
ended are removed by the mark that they carry. Base images that need the registry's account are fetched before the
build, so that no instruction runs while credentials are there. Credentials are in the memory of the one call that needs
them, and in no file.
"""

import asyncio
import base64
import contextlib
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import orjson

from daemons.kit.clock import Clock, SystemClock
from daemons.runner.adapters.builder import BuildPolicy, RegistryAccount
from daemons.runner.adapters.context import Contexts, Packed
from daemons.runner.adapters.enclosure import FIRST_ID, NEEDED, Enclosure, give, whisper
from daemons.runner.adapters.leash import off_the_leash
from daemons.runner.domain.dockerfile import base_images
from daemons.runner.domain.failures import WorkFailed, disk_is_full, plain
from daemons.runner.domain.registries import is_plain
from daemons.runner.ports import BuildOrder, LogSink
from protocol.errors import JobReason
from protocol.names import image_registry

logger = logging.getLogger(__name__)

#: With the last name of an image buildah removes all that it stands on, and there are no layers for the next build:
#: the newest image of each app keeps a name here.
KEPT: Final = "localhost/funai-kept"
_PUSH_SECONDS: Final = 900.0
_TIDY_SECONDS: Final = 60.0
_DRIVERS: Final = ("overlay", "vfs")
_HALF_MADE: Final = re.compile(r"docker\.io/library/[0-9a-f]{64}-tmp:latest")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_EXIT: Final = re.compile(r"exit status (\d+)")
_RECORD: Final = "buildah.json"
#: buildah (1.28) removes no container of which it wrote nothing down, but where it can read an image in place of that:
#: one that begins from scratch has none. So much is enough for it. In the enclosure, because builds write there.
_WRITE_DOWN: Final = """cd "$1" && shift && for id; do
    mkdir -p "$id/userdata" &&
        printf '{"type": "buildah 0.0.1", "container-id": "%s"}' "$id" > "$id/userdata/buildah.json"
done"""
#: What a RUN needs no more: leaving a chroot, raw packets, device nodes, the audit log.
_DROPPED: Final = ("CAP_SYS_CHROOT", "CAP_NET_RAW", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_NET_BIND_SERVICE")
#: The enclosure's user has nothing outside, so that the program must take itself for one without privileges.
_ENVIRONMENT: Final = {
    "BUILDAH_ISOLATION": "chroot",
    "_CONTAINERS_USERNS_CONFIGURED": "done",
    "_CONTAINERS_ROOTLESS_UID": str(FIRST_ID),
    "_CONTAINERS_ROOTLESS_GID": str(FIRST_ID),
}


class BuildahBuilder:
    """One storage. `plain_http` lists the registries without TLS, besides those of this machine."""

    def __init__(
        self,
        enclosure: Enclosure,
        account: RegistryAccount,
        policy: BuildPolicy,
        contexts: Contexts,
        *,
        driver: str = "overlay",
        plain_http: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._enclosure = enclosure
        self._account = account
        self._policy = policy
        self._contexts = contexts
        self._driver = driver
        self._plain_http = frozenset(plain_http)
        #: The marks of the builds that run, and when each began.
        self._running: dict[str, datetime] = {}

    async def prepare(self) -> None:
        """Make the storage and free it of what a killed runner left in it. Raises OSError."""
        await self._enclosure.prepare()
        async with self._enclosure.job() as job:
            await self._quietly(job, "rm", "--all")
            await self._tidy(job)

    async def ping(self) -> None:
        """Raises when buildah is not there."""
        if await asyncio.to_thread(shutil.which, "buildah") is None:
            raise FileNotFoundError("buildah is not installed")

    async def build(self, order: BuildOrder, log: LogSink) -> None:
        """Build the sources and give the image both names."""
        async with _step(JobReason.BUILD_FAILED, "the build", self._policy.seconds):
            packed = await self._contexts.pack(order, log)
            async with self._enclosure.job() as job:
                await asyncio.to_thread(_bring, packed, job, self._policy.secrets)
                await self._unpack(job)
                await self._fetch_bases(packed, job, log)
                async with self._tidied(job):
                    code, output = await self._call(job, log, *self._build(order, packed, job.name), trusted=False)
                if code != 0:
                    raise _failed(JobReason.BUILD_FAILED, "the build", code, output)

    async def push(self, image: str, log: LogSink) -> str:
        """Push one name; answers its digest."""
        what = f"the push of {image}"
        async with _step(JobReason.PUSH_FAILED, what, _PUSH_SECONDS), self._enclosure.job() as job:
            to = ("--digestfile=/mnt/job/digest", image, f"docker://{image}")
            code, output = await self._speak(image, job, log, "push", *to)
            if code != 0:
                raise _failed(JobReason.PUSH_FAILED, what, code, output)
            digest = await asyncio.to_thread((job / "digest").read_text)
        if not _DIGEST.fullmatch(digest.strip()):
            raise WorkFailed(JobReason.PUSH_FAILED, f"buildah ended {what} without naming a digest")
        return digest.strip()

    async def remove(self, images: Sequence[str]) -> None:
        """Remove local names; failures are logged, never raised."""
        try:
            async with self._enclosure.job() as job:
                await self._quietly(job, "rmi", *images)
        except OSError as error:
            logger.warning("images could not be removed", extra={"images": list(images), "error": str(error)})

    async def images(self) -> str:
        """All images of the storage as buildah lists them in JSON. Raises OSError."""
        listed = _Listed()
        async with self._enclosure.job() as job:
            code, output = await self._call(job, listed, "images", "--all", "--json")
        if code != 0:
            raise OSError(plain(output).strip()[-300:])
        return "".join(listed.parts)

    async def drop(self, images: Sequence[str]) -> None:
        """Remove images by id that no container is made of and none stands on. Raises OSError."""
        async with self._enclosure.job() as job:
            await self._quietly(job, "rmi", *images)

    def _build(self, order: BuildOrder, packed: Packed, mark: str) -> list[str]:
        arguments = (f"--build-arg={name}={value}" for name, value in self._policy.arguments.items())
        return [
            "build",
            "--layers",
            "--format=docker",
            # Without a network base images are there by now, or never; with one, those of other registries are not.
            f"--pull={'true' if self._policy.pull else 'false'}" if self._policy.network else "--pull=never",
            f"--cgroup-parent={mark}",
            *(f"--cap-drop={capability}" for capability in _DROPPED),
            *arguments,
            *(f"--label={name}={value}" for name, value in order.labels.items()),
            *(f"--tag={name}" for name in order.names.all),
            f"--tag={KEPT}/{order.names.immutable.rpartition(':')[0].rpartition('/')[2]}:newest",
            *(f"--secret=id={name},src=/mnt/job/secret.{name}" for name in self._policy.secrets),
            "--ignorefile=/mnt/job/hidden",
            f"--file=/mnt/job/context/{packed.dockerfile}",
            "/mnt/job/context",
        ]

    async def _unpack(self, job: Path) -> None:
        """In the enclosure, so that the files belong to its root and no name leads out of it."""
        argv = ["tar", "--extract", "--no-same-owner", "--file=context.tar", "--directory=context"]
        code, output = await self._enclosure.run(["env", "--chdir=/mnt/job", *argv], job, None, env={}, network=False)
        if code != 0:
            raise _failed(JobReason.BUILD_FAILED, "unpacking the build context", code, output)

    async def _fetch_bases(self, packed: Packed, job: Path, log: LogSink) -> None:
        """Fetch what the build itself could not: it has neither an account nor leave to speak plain HTTP."""
        for image in base_images(packed.text, self._policy.arguments):
            registry = image_registry(image)
            ours = registry is not None and (registry == self._account.host or self._is_plain(registry))
            if not ours and self._policy.network:
                continue
            # Layers that are there already are not fetched again; `newer` is what later releases call it.
            policy = "always" if self._policy.pull else "missing"
            code, output = await self._speak(image, job, log, "pull", f"--policy={policy}", image)
            if code != 0:
                raise _failed(JobReason.BUILD_FAILED, f"fetching the base image {plain(image)[:300]}", code, output)

    async def _speak(self, image: str, job: Path, log: LogSink, verb: str, *arguments: str) -> tuple[int, str]:
        """A call that talks to an image's registry; the account goes to its own registry only."""
        registry = image_registry(image)
        options = ["--tls-verify=false"] if registry and self._is_plain(registry) else []
        auths = {}
        if registry and self._account.username and registry == self._account.host:
            proof = base64.b64encode(f"{self._account.username}:{self._account.password}".encode()).decode()
            auths = {registry: {"auth": proof}}
        # Without a file of its own it would look for those of whoever runs it.
        async with whisper(orjson.dumps({"auths": auths})) as login:
            options.append(f"--authfile=/proc/self/fd/{login}")
            return await self._call(job, log, verb, *options, *arguments, keep=(login,))

    def _is_plain(self, registry: str) -> bool:
        return is_plain(registry, self._plain_http)

    @asynccontextmanager
    async def _tidied(self, job: Path) -> AsyncIterator[None]:
        """However the block ends, its working containers are gone."""
        self._running[job.name] = self._clock.now()
        try:
            yield
        finally:
            del self._running[job.name]
            with off_the_leash():
                await asyncio.shield(self._tidy(job))

    async def _tidy(self, job: Path) -> None:
        await self._remove_containers(job)
        if not self._running:
            await self._forget_half_made(job)

    async def _forget_half_made(self, job: Path) -> None:
        """While no build runs: layers keep the name of their making when buildah is killed in it, and no collection
        removes what has a name."""
        names = await asyncio.to_thread(half_made, self._enclosure.store / "root" / f"{self._driver}-images")
        if names:
            await self._quietly(job, "rmi", *names)

    async def _remove_containers(self, job: Path) -> None:
        """Those with this build's mark, and those that were made before any build that runs now began: a buildah that
        was killed may have made a container and not yet marked it."""
        containers = self._enclosure.store / "root" / f"{self._driver}-containers"
        oldest = min(self._running.values(), default=self._clock.now())
        ours = await asyncio.to_thread(lambda: {*_marked(containers, job.name), *made_before(containers, oldest)})
        if not ours:
            return
        if unwritten := await asyncio.to_thread(_unwritten, containers, ours):
            argv = ["sh", "-c", _WRITE_DOWN, "sh", f"/mnt/store/root/{containers.name}", *unwritten]
            await self._heard(("write down", *unwritten), self._enclosure.run(argv, job, None, env=_ENVIRONMENT))
        await self._quietly(job, "rm", *sorted(ours))

    async def _quietly(self, job: Path, *arguments: str) -> None:
        await self._heard(arguments, self._call(job, None, *arguments))

    async def _heard(self, arguments: Sequence[str], call: Awaitable[tuple[int, str]]) -> None:
        try:
            async with asyncio.timeout(_TIDY_SECONDS):
                code, output = await call
        except (TimeoutError, OSError) as error:
            code, output = 1, str(error) or f"no end within {_TIDY_SECONDS:g} s"
        # A build that failed gave no names, and those are asked to be removed all the same; and what two builds that
        # ended at once both found is removed by one of them.
        if code != 0 and "image not known" not in output and "container not known" not in output:
            logger.warning("buildah could not tidy up", extra={"arguments": arguments, "output": output[-500:]})

    async def _call(
        self, job: Path, log: LogSink | None, *arguments: str, trusted: bool = True, keep: Sequence[int] = ()
    ) -> tuple[int, str]:
        storage = ("--root=/mnt/store/root", "--runroot=/mnt/job/run", f"--storage-driver={self._driver}")
        # Only a build runs what strangers wrote; the rest needs the network to speak to registries.
        network = self._policy.network or trusted
        argv = ["buildah", *storage, *arguments]
        return await self._enclosure.run(argv, job, log, env=_ENVIRONMENT, network=network, keep=keep)


async def storage_driver(enclosure: Enclosure) -> str:
    """The storage driver that works here: `overlay`, or the slow and large `vfs`. Raises OSError that says why none."""
    if os.geteuid() != 0:
        raise OSError("its enclosure needs a runner that is root; what it runs is not")
    for program in ("buildah", "tar", *NEEDED):
        if await asyncio.to_thread(shutil.which, program) is None:
            raise OSError(f"{program} is not installed")
    await enclosure.prepare()
    output = ""
    for driver in _DRIVERS:
        async with enclosure.job() as job:
            # A storage of its own: the first driver that touches one stays its driver.
            argv = ["buildah", "--root=/mnt/job/root", "--runroot=/mnt/job/run", f"--storage-driver={driver}", "images"]
            code, output = await enclosure.run(argv, job, None, env=_ENVIRONMENT)
        if code == 0:
            return driver
    raise OSError(plain(output).strip()[-300:] or "it ends without a word")


class _Listed:
    """Takes the output of a command that is read as a whole."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    async def write(self, text: str) -> None:
        """Keep a piece."""
        self.parts.append(text)


def _bring(packed: Packed, job: Path, secrets: Mapping[str, Path]) -> None:
    os.chown(shutil.move(packed.archive, job / "context.tar"), FIRST_ID, FIRST_ID)
    (job / "context").mkdir()
    os.chown(job / "context", FIRST_ID, FIRST_ID)
    give(job / "hidden", "".join(f"{name}\n" for name in packed.hidden))
    for name, path in secrets.items():
        give(job / f"secret.{name}", path.read_bytes())


def _marked(containers: Path, mark: str) -> list[str]:
    """The ids of working containers that carry a mark, from what buildah wrote down of each."""
    wanted = f'"CgroupParent":"{mark}"'.encode()
    found = []
    for path in containers.glob(f"*/userdata/{_RECORD}"):
        with contextlib.suppress(OSError):
            if wanted in path.read_bytes():
                found.append(path.parent.parent.name)
    return found


def _unwritten(containers: Path, ids: Collection[str]) -> list[str]:
    """Those of which buildah wrote nothing down before it was killed."""
    return sorted(each for each in ids if not os.path.lexists(containers / each / "userdata" / _RECORD))


def made_before(containers: Path, moment: datetime) -> list[str]:
    """The ids of working containers that were made before that time."""
    try:
        listed = orjson.loads((containers / "containers.json").read_bytes())
    except (OSError, ValueError):
        return []
    return [each["id"] for each in listed if datetime.fromisoformat(each["created"]) < moment]


def half_made(images: Path) -> list[str]:
    """The names of layers that buildah was making when it was killed (buildah 1.28, imagebuildah: `ID-tmp`)."""
    try:
        listed = orjson.loads((images / "images.json").read_bytes())
    except (OSError, ValueError):
        return []
    return [name for each in listed for name in each.get("names") or () if _HALF_MADE.fullmatch(name)]


def _failed(reason: JobReason, what: str, code: int, output: str) -> WorkFailed:
    """Buildah's own last words, and of a command its exit code."""
    lines = [line.strip() for line in plain(output).splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if line.lower().startswith("error:")), lines[-1] if lines else "")
    full = disk_is_full(output) and not disk_is_full(said)
    inner = _EXIT.search(said)
    text = f"{what} failed: {said.removeprefix('Error: ')[:1000] or 'buildah said nothing'}"
    return WorkFailed(
        reason,
        f"{text}{' (its output says: no space left on device)' if full else ''}",
        exit_code=int(inner[1]) if inner else code,
    )


@asynccontextmanager
async def _step(reason: JobReason, what: str, seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise WorkFailed(reason, f"{what} took longer than {seconds:g} s and was stopped") from None
    except OSError as error:
        raise WorkFailed(reason, f"{what} failed, because buildah could not be run: {error}") from error
