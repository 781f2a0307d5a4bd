"""A Docker engine to build and run with: one that is there, or one of our own that outlives the supervisor.

Our own engine keeps running when the platform stops, and the apps in it keep serving; the next start finds it again.
The base image `busybox:1.36` is pulled when it can be, else made of Debian's static busybox, which needs no registry.
"""

import asyncio
import io
import json
import os
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from daemons.kit.settings import Misconfigured
from daemons.supervisor.domain.network import addresses_beside_others

BASE_IMAGE: Final = "busybox:1.36"
_ROUTES: Final = Path("/proc/net/route")
DEFAULT_SOCKET: Final = Path("/var/run/docker.sock")
_PING_SECONDS: Final = 3.0
_PULL_SECONDS: Final = 20.0
_START_SECONDS: Final = 60.0


class MachineLacks(Misconfigured):
    """A program or image is not there and cannot be got; the message says what to install."""


class Engine:
    """One engine, spoken to over its HTTP interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def answers(self) -> bool:
        """Whether it is up."""
        try:
            async with self._client(_PING_SECONDS) as client:
                return (await client.get("/_ping")).status_code == 200
        except (httpx.HTTPError, OSError):
            return False

    async def has(self, image: str) -> bool:
        """Whether the image is there."""
        async with self._client(_PING_SECONDS) as client:
            return (await client.get(f"/images/{image}/json")).status_code == 200

    async def pull(self, image: str) -> str | None:
        """Pull it; None when it is there now, else why not."""
        name, _, tag = image.partition(":")
        try:
            async with asyncio.timeout(_PULL_SECONDS), self._client(_PULL_SECONDS) as client:
                response = await client.post("/images/create", params={"fromImage": name, "tag": tag})
        except (httpx.HTTPError, TimeoutError) as error:
            return str(error) or f"no end within {_PULL_SECONDS:g} s"
        return _stream_error(response)

    async def import_root(self, image: str, tar: bytes) -> None:
        """Make an image of a root file system. Raises MachineLacks with the engine's words."""
        name, _, tag = image.partition(":")
        query = {"fromSrc": "-", "repo": name, "tag": tag, "changes": 'CMD ["sh"]'}
        async with self._client(60) as client:
            response = await client.post("/images/create", params=query, content=tar)
        problem = _stream_error(response)
        if problem:
            raise MachineLacks(f"the engine does not take the base image {image}: {problem}")

    def _client(self, seconds: float) -> httpx.AsyncClient:
        parts = urlsplit(self.url)
        if parts.scheme == "unix":
            transport = httpx.AsyncHTTPTransport(uds=parts.path)
            return httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=seconds, trust_env=False)
        return httpx.AsyncClient(base_url=f"http://{parts.netloc}", timeout=seconds, trust_env=False)


async def find(docker_host: str | None) -> Engine | None:
    """The engine that DOCKER_HOST names or, without it, the machine's own; None when it does not answer."""
    engine = Engine(docker_host or f"unix://{DEFAULT_SOCKET}")
    return engine if await engine.answers() else None


async def own(folder: Path) -> Engine:
    """The engine in this folder, started unless it answers. Raises MachineLacks when it cannot be."""
    engine = Engine(f"unix://{folder}/docker.sock")
    if await engine.answers():
        return engine
    dockerd = shutil.which("dockerd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if dockerd is None or os.geteuid() != 0:
        raise MachineLacks(
            "no Docker engine answers, and one of our own needs "
            + ("the package docker.io" if dockerd is None else "root: start Docker, or run this as root")
        )
    process = None if _still_runs(folder) else await asyncio.to_thread(_start_detached, dockerd, folder)
    for _ in range(int(_START_SECONDS / 0.2)):
        if await engine.answers():
            return engine
        if process is not None and process.poll() is not None:
            break
        await asyncio.sleep(0.2)
    raise MachineLacks(f"the Docker engine did not start; its last lines:\n{_last_lines(folder / 'log')}")


async def ensure_base_image(engine: Engine, image: str = BASE_IMAGE) -> str:
    """Have the base image; the answer says how it came. Raises MachineLacks."""
    if await engine.has(image):
        return "there already"
    problem = await engine.pull(image)
    if problem is None:
        return "pulled"
    await engine.import_root(image, await asyncio.to_thread(_busybox_root, problem))
    return "made of this machine's busybox, because it could not be pulled"


def _still_runs(folder: Path) -> bool:
    """Whether the engine of this folder is a live process that merely does not answer (yet)."""
    try:
        pid = int((folder / "pid").read_text())
        return f"{folder}/data".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def _start_detached(dockerd: str, folder: Path) -> subprocess.Popen[bytes]:
    # Left behind by a power cut; dockerd would refuse to start if the number belongs to another process by now.
    (folder / "pid").unlink(missing_ok=True)
    argv = [dockerd, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
    addresses = addresses_beside_others(_ROUTES.read_text(), zlib.crc32(str(folder).encode()))
    if addresses is not None:
        argv += ["--fixed-cidr", addresses]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [*argv, "-H", f"unix://{folder}/docker.sock"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _busybox_root(problem: str) -> bytes:
    binary = shutil.which("busybox")
    if binary is None or _dynamic(Path(binary)):
        raise MachineLacks(
            f"{BASE_IMAGE} cannot be pulled ({problem}) and cannot be made: install the package busybox-static"
        )
    applets = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout.split()
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            tar.addfile(_entry(name, tarfile.DIRTYPE, mode))
        content = Path(binary).read_bytes()
        tar.addfile(_entry("bin/busybox", tarfile.REGTYPE, 0o755, len(content)), io.BytesIO(content))
        for applet in applets:
            if applet != "busybox" and "/" not in applet:
                link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
                link.linkname = "busybox"
                tar.addfile(link)
        passwd = b"root:x:0:0:root:/root:/bin/sh\n"
        tar.addfile(_entry("etc/passwd", tarfile.REGTYPE, 0o644, len(passwd)), io.BytesIO(passwd))
    return target.getvalue()


def _entry(name: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry


def _dynamic(binary: Path) -> bool:
    """Whether it names a program interpreter, which an image of this file alone would lack."""
    head = binary.read_bytes()[:4096]
    return b"/ld-linux" in head or b"/ld-musl" in head


def _stream_error(response: httpx.Response) -> str | None:
    """The engine answers 200 and tells of failures inside its stream of JSON lines."""
    if response.status_code != 200:
        return response.text[:300]
    for line in response.text.splitlines():
        document = json.loads(line) if line.strip().startswith("{") else {}
        if "error" in document:
            return str(document["error"])[:300]
    return None


def _last_lines(log: Path) -> str:
    try:
        return "\n".join(log.read_text("utf-8", "replace").splitlines()[-10:])
    except OSError:
        return "(no log)"
