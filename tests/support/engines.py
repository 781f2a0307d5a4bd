"""Container engines for the conformance suite: each with the same images in it, and the cases that it cannot pass."""

import asyncio
import io
import json
import secrets
import socket
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from aiodocker import Docker

from daemons.agent.adapters.docker import DockerEngine
from daemons.agent.adapters.networks import GATEWAY_BRIDGE, AppNetworks, OverlayNetworks
from daemons.agent.adapters.swarm import SwarmEngine
from daemons.agent.domain.containers import ContainerSpec, Limits
from daemons.agent.ports import Engine
from daemons.kit.engine.addresses import bridge_prefix
from daemons.kit.engine.fences import chain
from daemons.kit.engine.firewall import Iptables
from daemons.kit.engine.networks import Firewall
from tests.support import real
from tests.support.agent_twins import Behaviour, TwinEngine

#: Addresses of the tests' own, so that they never meet those of a platform that runs on the machine.
POOL: Final = IPv4Network("10.231.0.0/16")
RUN: Final = secrets.token_hex(3)
APP: Final = f"e{RUN}"

#: What the images of the suite do, by the argument of their one program.
SCRIPT: Final = r"""#!/bin/sh
case "$1" in
serve)    echo first; echo second >&2; exec httpd -f -p "$PORT" ;;
loopback) exec httpd -f -p 127.0.0.1:"$PORT" ;;
crash)    echo broken; exit 7 ;;
later)    sleep 0.3; exit 3 ;;
hungry)   x=aaaaaaaa; while true; do x=$x$x; done ;;
polite)   trap 'echo bye; exit 0' TERM; echo ready; while true; do sleep 0.05; done ;;
stubborn) trap '' TERM; echo ready; while true; do sleep 0.05; done ;;
dropped)  chown user /data && exec su user -c 'exec /app polite' ;;
lowport)  exec su user -c 'exec httpd -f -p 80' ;;
tell)     exec /tell ;;
esac
"""
TELL: Final = r"""#!/bin/sh
# What a container can see of itself, one `key value` a line.
grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status
echo "nofile: $(ulimit -n)"
echo "oom: $(cat /proc/self/oom_score_adj)"
echo "init: $(tr '\0' ' ' < /proc/1/cmdline)"
echo "port: $PORT"
for file in pids/pids.max memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.cfs_quota_us \
    pids.max memory.max memory.swap.max cpu.max; do
    [ -r /sys/fs/cgroup/$file ] && echo "$file: $(cat /sys/fs/cgroup/$file)"
done
touch /proof 2>/dev/null && echo "root: writable" || echo "root: read-only"
touch /tmp/proof 2>/dev/null && echo "tmp: writable" || echo "tmp: read-only"
echo "tmpmount: $(grep ' /tmp ' /proc/mounts)"
echo "address: $(ip -4 -o addr show scope global | awk '{print $4}' | tr '\n' ' ')"
echo "sockets: $(find / -xdev -type s 2>/dev/null | tr '\n' ' ')"
echo "told"
exec httpd -f -p 80
"""
BEHAVIOURS: Final = tuple(
    line.split(")")[0].strip() for line in SCRIPT.splitlines() if ") " in line and not line.startswith(("#", "case"))
)
_TWINS: Final = {
    "serve": Behaviour(output="first\nsecond\n"),
    "crash": Behaviour(exit_code=7, output="broken\n"),
    "hungry": Behaviour(exit_code=137, oom=True),
}


@dataclass
class Bench:
    """An engine with the suite's images in it, and a way to take a port from under it."""

    kind: str
    engine: Engine
    hold_port: Callable[[int], object]
    node: str
    url: str = ""
    made: list[str] = field(default_factory=list)

    def reference(self, behaviour: str) -> str:
        """The image that behaves so."""
        return f"engine-test-{RUN}/u7-app{APP}:{behaviour}"

    async def spec(self, name: str, behaviour: str = "serve", **changes: object) -> ContainerSpec:
        """A container of that image."""
        reference = self.reference(behaviour)
        image_id = await self.engine.image_id(reference)
        assert image_id is not None
        container = f"rt-u-7-{APP}-r{name}"
        spec = ContainerSpec(
            container, self.node, "7", APP, 1, reference, image_id, 3000, real.free_port(), Limits(64 * 1024**2)
        )
        spec = replace(spec, **changes)  # type: ignore[arg-type]
        self.made.append(spec.name)
        return spec

    async def run(self, name: str, behaviour: str = "serve", **changes: object) -> ContainerSpec:
        """A started container of that image."""
        spec = await self.spec(name, behaviour, **changes)
        await self.engine.create(spec)
        await self.engine.start(spec.name)
        return spec

    async def labels(self, name: str) -> dict[str, str]:
        """A container's labels."""
        where = ".Spec.TaskTemplate.ContainerSpec.Labels" if self.kind == "swarm" else ".Config.Labels"
        text = await asyncio.to_thread(self.docker, "inspect", "--format", f"{{{{json {where}}}}}", name)
        found: dict[str, str] = json.loads(text)
        return found

    async def networks(self, user_id: str) -> list[str]:
        """The networks of a user's app."""
        filters = [f"--filter=label=funai.{key}={value}" for key, value in (("app-id", APP), ("user-id", user_id))]
        return (await asyncio.to_thread(self.docker, "network", "ls", "-q", *filters)).split()

    async def lose(self, name: str) -> None:
        """Remove a container behind the agent's back."""
        removal = ["service", "rm"] if self.kind == "swarm" else ["rm", "-f"]
        await asyncio.to_thread(self.docker, *removal, name)

    def spare(self) -> str:
        """An image of its own, which nobody misses."""
        if self.kind != "twin":
            return image(self.url, "spare", SCRIPT)
        assert isinstance(self.engine, TwinEngine)
        self.engine.local[self.reference("spare")] = "sha256:spare"
        return self.reference("spare")

    def push(self, image: str, reference: str) -> None:
        """Put an image of the engine into a registry and forget that name of it."""
        for argv in (["tag", image, reference], ["push", "-q", reference], ["rmi", reference]):
            self.docker(*argv)

    def docker(self, *argv: str) -> str:
        """The output of a docker command on the real engine."""
        return subprocess.run(["docker", "-H", self.url, *argv], check=True, capture_output=True, text=True).stdout


def load(url: str, labels: Mapping[str, str], changes: Sequence[str] = ()) -> None:
    """Put the suite's images into an engine: one layer each, made of Debian's static busybox."""
    archive = _archive()
    for behaviour in BEHAVIOURS:
        lines = [f'CMD ["/app","{behaviour}"]', "ENV PATH=/bin", *changes]
        lines += [f'LABEL {key}="{value}"' for key, value in labels.items()]
        argv = ["docker", "-H", url, "import", *(part for line in lines for part in ("--change", line))]
        name = f"engine-test-{RUN}/u7-app{APP}:{behaviour}"
        subprocess.run([*argv, "-", name], input=archive, check=True, capture_output=True)


def image(url: str, name: str, script: str) -> str:
    """The reference of a new image whose one program is the script."""
    reference = f"engine-test-{RUN}/u7-app{APP}:{name}"
    changes = ["--change", 'CMD ["/app"]', "--change", "ENV PATH=/bin"]
    argv = ["docker", "-H", url, "import", *changes, "-", reference]
    subprocess.run(argv, input=_archive(script), check=True, capture_output=True)
    return reference


def unload(url: str) -> None:
    """Remove the suite's containers, networks and images."""
    label = f"--filter=label=funai.app-id={APP}"
    docker = ["docker", "-H", url]
    for listing, removal in (
        (["ps", "-aq", label], ["rm", "-f"]),
        (["network", "ls", "-q", label], ["network", "rm"]),
        (["images", "-q", f"engine-test-{RUN}/u7-app{APP}"], ["rmi", "-f"]),
    ):
        found = subprocess.run([*docker, *listing], check=True, capture_output=True, text=True).stdout.split()
        if found:
            subprocess.run([*docker, *removal, *dict.fromkeys(found)], check=False, capture_output=True)


def _archive(script: str = SCRIPT) -> bytes:
    busybox = Path(real.program("busybox", "busybox-static"))
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "mnt", "tmp", "etc", "data", "var", "var/tmp", "run"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder.endswith("tmp") else 0o755
            tar.addfile(entry)
        files = {
            "bin/busybox": busybox.read_bytes(),
            "app": script.encode(),
            "tell": TELL.encode(),
            "etc/passwd": b"root:x:0:0::/:/bin/sh\nuser:x:999:999::/:/bin/sh\n",
            "etc/group": b"root:x:0:\nuser:x:999:\n",
        }
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644 if name.startswith("etc") else 0o755
            tar.addfile(entry, io.BytesIO(content))
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            if applet != "busybox":
                tar.addfile(entry)
    return buffer.getvalue()


@contextmanager
def held_ports() -> Iterator[Callable[[int], object]]:
    """A way to listen on ports of 127.0.0.1 until the end of the block."""
    held: list[socket.socket] = []
    yield lambda port: held.append(socket.create_server(("127.0.0.1", port)))
    for listener in held:
        listener.close()


def twin() -> Bench:
    """The in-memory engine."""
    engine = TwinEngine()
    bench = Bench("twin", engine, engine.taken.add, f"n-{RUN}")
    for behaviour, does in _TWINS.items():
        engine.local[bench.reference(behaviour)] = f"sha256:{behaviour}"
        engine.behaviours[f"sha256:{behaviour}"] = does
    return bench


@asynccontextmanager
async def docker(url: str, kind: str = "docker", firewall: Firewall | None = None) -> AsyncIterator[Bench]:
    """A Docker engine, or one that speaks like it; with a fence unless another is given."""
    node, firewall = f"n-{RUN}-{kind}", firewall or Iptables()
    async with Docker(url=url, api_version="v1.41") as client:
        if kind == "swarm":
            engine: DockerEngine = SwarmEngine(client, node, OverlayNetworks(client, node, POOL, firewall))
        else:
            engine = DockerEngine(client, node, AppNetworks(client, node, POOL, firewall))
        with held_ports() as hold:
            bench = Bench(kind, engine, hold, node, url)
            yield bench
            await asyncio.gather(*(bench.engine.remove(name) for name in bench.made))


def bridges(url: str, node: str) -> str:
    """What the names of a node's bridges begin with."""
    root = subprocess.run(["docker", "-H", url, "info", "-f", "{{.DockerRootDir}}"], check=True, capture_output=True)
    return bridge_prefix(node, root.stdout.decode().strip())


def clear(url: str, node: str) -> None:
    """Remove the services, containers and networks of a node, and its packet filter rules."""
    docker, label = ["docker", "-H", url], f"--filter=label=funai.node={node}"
    manager = subprocess.run([*docker, "info", "-f", "{{.Swarm.ControlAvailable}}"], capture_output=True, check=False)
    services = [(["service", "ls", "-q"], ["service", "rm"])] if manager.stdout.strip() == b"true" else []
    kinds = [(["ps", "-aq"], ["rm", "-f"]), (["network", "ls", "-q"], ["network", "rm"])]
    for listing, removal in (*services, *kinds):
        found = subprocess.run([*docker, *listing, label], check=False, capture_output=True, text=True).stdout.split()
        if found:
            subprocess.run([*docker, *removal, *found], check=False, capture_output=True)
    forget(url, node)


def forget(url: str, node: str) -> None:
    """Take a node's packet filter rules away."""
    prefix = bridges(url, node)
    for program in ("iptables", "ip6tables"):
        for rest in (
            *(["-D", "PREROUTING", "-i", each, "-j", chain(prefix)] for each in (f"{prefix}+", GATEWAY_BRIDGE)),
            ["-F", chain(prefix)],
            ["-X", chain(prefix)],
        ):
            argv = [real.program(program, "iptables"), "-w", "-t", "mangle", *rest]
            subprocess.run(argv, check=False, capture_output=True)
    _forget_of_podman(prefix)


def _forget_of_podman(prefix: str) -> None:
    """Podman 4.3 leaves the rules of a network behind that two containers were in."""
    iptables = [real.program("iptables", "iptables"), "-w"]
    lines = subprocess.run([*iptables, "-S"], check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        if line.startswith("-A NETAVARK") and f" {prefix}" in line:
            subprocess.run([*iptables, "-D", *line.split()[1:]], check=False, capture_output=True)


def rules(url: str, node: str) -> list[str]:
    """A node's packet filter rules for IPv4."""
    argv, name = [real.program("iptables", "iptables"), "-w", "-t", "mangle", "-S"], chain(bridges(url, node))
    lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if name in line]
