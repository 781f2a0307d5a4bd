"""One container tries everything that an app must not do to its neighbours and to the machine, all at once.

What the fence closes is open to a container outside of it: the control, without which a failure would prove nothing.
"""

import asyncio
import http.server
import json
import secrets
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from daemons.agent.adapters.networks import GATEWAY_BRIDGE
from daemons.agent.domain.containers import Limits
from daemons.kit.engine.errors import EngineError
from daemons.kit.engine.fences import Reach
from daemons.kit.engine.firewall import Iptables, NoFirewall
from tests.engine.test_lifecycle import get, says, served
from tests.support import engines, real
from tests.support.engines import APP, Bench
from tests.support.outside import METADATA, NEIGHBOUR, PUBLIC, outside

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

_SECRET = f"of-the-victim-{secrets.token_hex(4)}"
#: A line `name won` or `name lost` for each attempt; those on the network wait side by side.
_HOSTILE = r"""#!/bin/sh
try() { name=$1; shift; if "$@" >/dev/null 2>&1; then echo "attempt $name won"; else echo "attempt $name lost"; fi; }
fetch() { printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 "$1" "$2" | grep -q HTTP; }
named() { nslookup "$1" 2>&1 | grep -q '^Name:'; }
itself() { i=0; until named "$(hostname)"; do i=$((i + 1)); [ $i -lt 20 ] || return 1; sleep 0.5; done; }
clock() { date -s 2001-01-01; [ "$(date +%Y)" = 2001 ]; }
@NETWORK@
gained() { cp /bin/busybox /tmp/gain && chmod 4755 /tmp/gain && [ "$(su user -c '/tmp/gain id -u')" = 0 ]; }
device() { rm -f /tmp/device; mknod /tmp/device b "$1" "$2"; }
foreign() { cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | grep -q "@SECRET@"; }
escape() { mkdir -p /tmp/cg && mount -t cgroup -o memory cgroup /tmp/cg; }
writes() { echo 1 > "$1"; }
forks() { i=0; while [ $i -lt 300 ]; do sleep 5 & i=$((i + 1)); done; [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 100 ]; }
shared() { dd if=/dev/zero of=/dev/shm/fill bs=1M count=200; [ "$(stat -c %s /dev/shm/fill)" -gt 100000000 ]; }
try raw-socket arping -c 1 -w 1 -I eth0 10.0.0.1
try address ip addr add 10.231.255.1/24 dev eth0
try route ip route add 10.99.0.0/16 dev eth0
try mount mount -t tmpfs none /mnt
try bind mount --bind / /mnt
try cgroup escape
try device device 8 0
try memory-device cat /dev/mem
try chroot chroot / true
try namespace unshare -m true
try user-namespace unshare -U true
try join nsenter -t 1 -m true
try hostname hostname taken
try clock clock
try module insmod /none.ko
try trigger writes /proc/sysrq-trigger
try core-pattern writes /proc/sys/kernel/core_pattern
try forwarding writes /proc/sys/net/ipv4/ip_forward
try sys writes /sys/kernel/uevent_helper
try release-agent writes /sys/fs/cgroup/memory/release_agent
try kernel-log dmesg
try swap swapoff -a
try gained gained
try priority nice -n -5 true
try foreign foreign
try engine-socket ls /var/run/docker.sock /run/docker.sock
try host-process kill -0 $(($$ + 100000))
try shared-memory shared
try host-file cat @HOST@
try host-file-by-init cat /proc/1/root@HOST@
try host-file-by-parents cat /proc/self/cwd/../../../../../../../..@HOST@
rm -f /dev/shm/fill
wait
(forks) 2>/dev/null && echo "attempt forks won" || echo "attempt forks lost"
echo tried
exec httpd -f -p "$PORT"
"""

#: What an engine leaves open that is no way out by itself.
_OPEN = {"podman": {"user-namespace"}}  # its default filter of system calls lets every process make one


@dataclass
class Scene:
    """Who is attacked."""

    victim: str
    victim_port: int
    targets: dict[str, str]
    host_file: str


class Answering(http.server.BaseHTTPRequestHandler):
    """A daemon of the machine: agent, control plane, whatever listens on every address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"reached\n")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def daemon() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def beyond(tmp_path: Path) -> Iterator[Path]:
    """Servers beyond this machine; a file of this machine that they serve."""
    with outside(tmp_path) as page:
        yield page


@pytest.fixture
async def fenced(kind: str, loaded: str, beyond: Path) -> AsyncIterator[Bench]:
    """The engine behind a fence with one gate, to the neighbour's port 81."""
    async with engines.docker(loaded, kind, Iptables([Reach(IPv4Network(f"{NEIGHBOUR}/32"), 81)])) as found:
        yield found


@pytest.fixture
async def scene(fenced: Bench, daemon: int, beyond: Path) -> Scene:
    victim = replace(await fenced.spec("v"), name=f"rt-u-8-{APP}-r1", user_id="8", image=_SECRET)
    fenced.made.append(victim.name)
    await fenced.engine.create(victim)
    await fenced.engine.start(victim.name)
    await served(victim.host_port)
    address, gateway = await asyncio.to_thread(_whereabouts, fenced, victim.name)
    own = real.own_address()
    targets = {
        "victim-by-address": f"{address}:3000",
        "victim-by-the-machine": f"{own}:{victim.host_port}",
        "victim-by-its-bridge": f"{gateway}:{victim.host_port}",
        "victim-by-loopback": f"127.0.0.1:{victim.host_port}",
        "daemon-by-the-machine": f"{own}:{daemon}",
        "daemon-by-another-bridge": f"{gateway}:{daemon}",
        "daemon-by-own-bridge": f"$(ip route | awk '/default/ {{print $3}}'):{daemon}",
        "neighbour": f"{NEIGHBOUR}:80",
        "metadata": f"{METADATA}:80",
    }
    return Scene(victim.name, victim.host_port, targets, str(beyond))


def _whereabouts(bench: Bench, name: str) -> tuple[str, str]:
    """The address of a container and that of the machine in its network; in a swarm, by the way out of the overlay."""
    if bench.kind != "swarm":
        format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.Gateway}}{{end}}"
        address, gateway = bench.docker("inspect", "--format", format, name).split()
        return address, gateway
    filters = ["--filter", f"label=com.docker.swarm.service.name={name}"]
    sandbox = bench.docker(
        "inspect", "--format", "{{.NetworkSettings.SandboxID}}", bench.docker("ps", "-q", *filters).strip()
    )
    bridge = json.loads(bench.docker("network", "inspect", GATEWAY_BRIDGE))[0]
    inside = {one["Name"]: one["IPv4Address"].partition("/")[0] for one in bridge["Containers"].values()}
    return inside[f"gateway_{sandbox[:12]}"], bridge["IPAM"]["Config"][0]["Gateway"]


def hostile_image(bench: Bench, scene: Scene) -> str:
    targets = {**scene.targets, "public": f"{PUBLIC}:80", "gate": f"{NEIGHBOUR}:81"}
    network = [f"(try {name} fetch {target.replace(':', ' ')}) &" for name, target in targets.items()]
    network += [f"(try victim-by-name named {scene.victim}) &", "(try itself-by-name itself) &"]
    script = _HOSTILE.replace("@NETWORK@", "\n".join(network)).replace("@SECRET@", f"[{_SECRET[0]}]{_SECRET[1:]}")
    return engines.image(bench.url, "hostile", script.replace("@HOST@", scene.host_file))


def attempts(output: str) -> dict[str, bool]:
    found = [line.split() for line in output.splitlines() if line.startswith("attempt ")]
    return {name: how == "won" for _, name, how in found}


async def test_every_attempt_fails(fenced: Bench, scene: Scene) -> None:
    image = await asyncio.to_thread(hostile_image, fenced, scene)
    spec = await fenced.spec("h", limits=Limits(256 * 1024**2, pids=64))
    image_id = await fenced.engine.image_id(image)
    assert image_id is not None
    spec = replace(spec, image=image, image_id=image_id)
    await fenced.engine.create(spec)
    await fenced.engine.start(spec.name)
    await says(fenced, spec, "tried", seconds=60)
    made = attempts(await fenced.engine.logs(spec.name, 500))
    assert len(made) == len(scene.targets) + 36
    assert {name for name, won in made.items() if won} == {"public", "gate", "itself-by-name"} | _OPEN.get(
        fenced.kind, set()
    )
    # Neither the attacked nor the attacker is the worse for it.
    await served(spec.host_port)
    assert await asyncio.to_thread(get, scene.victim_port) is not None


async def test_without_the_fence_they_would_have_been_reached(fenced: Bench, scene: Scene) -> None:
    open_to_all = ["daemon-by-the-machine", "daemon-by-another-bridge", "neighbour", "metadata"]
    ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {} | grep -q HTTP && echo {}\n"
    asked = "".join(ask.format(scene.targets[name].replace(":", " "), name) for name in open_to_all)
    image = await asyncio.to_thread(engines.image, fenced.url, "control", f"#!/bin/sh\n{asked}echo asked\n")
    await asyncio.to_thread(engines.forget, fenced.url, fenced.node)
    async with engines.docker(fenced.url, fenced.kind, NoFirewall()) as unfenced:
        spec = await unfenced.spec("c", image=image, image_id=await unfenced.engine.image_id(image))
        await unfenced.engine.create(spec)
        await unfenced.engine.start(spec.name)
        await says(unfenced, spec, "asked")
        assert (await unfenced.engine.logs(spec.name, 10)).split() == [*open_to_all, "asked"]


async def test_rules_that_were_flushed_come_back(fenced: Bench) -> None:
    await fenced.engine.isolate()
    before = await asyncio.to_thread(engines.rules, fenced.url, fenced.node)
    assert sum("PREROUTING" in rule for rule in before) == 1
    await asyncio.to_thread(engines.forget, fenced.url, fenced.node)
    assert await asyncio.to_thread(engines.rules, fenced.url, fenced.node) == []
    await fenced.engine.isolate()
    await fenced.engine.isolate()
    assert await asyncio.to_thread(engines.rules, fenced.url, fenced.node) == before


async def test_rules_stay_as_long_as_there_is_an_app_and_no_longer(bench: Bench) -> None:
    spec = await bench.run("1")
    assert not await bench.engine.release()
    assert await asyncio.to_thread(engines.rules, bench.url, bench.node) != []
    await bench.engine.remove(spec.name)
    assert await bench.engine.release()
    assert await asyncio.to_thread(engines.rules, bench.url, bench.node) == []
    assert await bench.engine.release()


async def test_a_machine_that_started_again_has_its_fence_before_its_apps(bench: Bench, again: Bench) -> None:
    spec = await bench.spec("1")
    await bench.engine.create(spec)
    await asyncio.to_thread(engines.forget, bench.url, bench.node)
    await again.engine.start(spec.name)
    assert await asyncio.to_thread(engines.rules, bench.url, bench.node) != []


async def test_without_rules_no_container_is_made(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemons.kit.engine.firewall._FOLDERS", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    spec = await bench.spec("1")
    with pytest.raises(EngineError, match="iptables-restore is not installed"):
        await bench.engine.create(spec)
    assert await bench.engine.state(spec.name) is None
