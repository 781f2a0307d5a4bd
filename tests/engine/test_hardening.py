"""What a container may do and have, as its own process sees it. One container an engine tells for all cases."""

import asyncio
import re
from dataclasses import replace

import pytest

from daemons.agent.domain.containers import CAPABILITIES, Limits
from tests.engine.test_lifecycle import says, served
from tests.support.engines import APP, Bench

pytestmark = pytest.mark.real

Told = dict[str, str]
_LIMITS = Limits(memory_bytes=64 * 1024**2, nano_cpus=500_000_000, pids=64, open_files=2048, tmpfs_bytes=1024**2)
#: Numbers of capabilities in a mask (linux/capability.h).
_BITS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
}
_heard: dict[str, Told] = {}


@pytest.fixture
async def told(bench: Bench) -> Told:
    """Key and value of every line that the container said of itself."""
    if bench.kind not in _heard:
        spec = await bench.run("1", "tell", limits=_LIMITS, container_port=80)
        await says(bench, spec, "told")
        await served(spec.host_port)
        lines = (await bench.engine.logs(spec.name, 200)).splitlines()
        _heard[bench.kind] = dict(line.split(":", 1) for line in lines if ":" in line)
    return _heard[bench.kind]


def first(told: Told, *names: str) -> str:
    """The value under the name that this machine's control groups have."""
    return next(told[name].strip() for name in names if name in told)


async def test_capabilities_are_the_short_list(told: Told) -> None:
    mask = sum(1 << _BITS[name] for name in CAPABILITIES)
    assert (int(told["CapBnd"], 16), int(told["CapEff"], 16)) == (mask, mask)


async def test_privileges_cannot_be_gained(told: Told) -> None:
    assert told["NoNewPrivs"].strip() == "1"


async def test_system_calls_are_filtered(told: Told) -> None:
    assert told["Seccomp"].strip() == "2"


async def test_processes_are_bounded(told: Told) -> None:
    assert first(told, "pids/pids.max", "pids.max") == "64"


async def test_memory_is_bounded(told: Told) -> None:
    assert first(told, "memory/memory.limit_in_bytes", "memory.max") == str(_LIMITS.memory_bytes)


async def test_swap_adds_nothing_to_memory(told: Told) -> None:
    limit = first(told, "memory/memory.memsw.limit_in_bytes", "memory.swap.max")
    assert limit in (str(_LIMITS.memory_bytes), "0")


async def test_processors_are_bounded(told: Told) -> None:
    assert first(told, "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"


async def test_open_files_are_bounded(told: Told) -> None:
    assert told["nofile"].strip() == "2048"


async def test_an_init_reaps_and_passes_signals(told: Told) -> None:
    assert re.search(r"init|catatonit|tini", told["init"])


async def test_apps_die_before_the_daemons_of_the_node(told: Told) -> None:
    assert told["oom"].strip() == "500"


async def test_the_port_to_listen_on_is_told(told: Told) -> None:
    assert told["port"].strip() == "80"


async def test_no_socket_of_the_machine_is_inside(told: Told) -> None:
    assert told["sockets"].strip() == ""


async def test_the_root_is_writable_unless_asked_otherwise(told: Told) -> None:
    assert (told["root"].strip(), told["tmpmount"].strip()) == ("writable", "")


async def test_a_read_only_root_leaves_bounded_folders_in_memory(bench: Bench) -> None:
    spec = await bench.run("1", "tell", limits=_LIMITS, read_only=True, container_port=80)
    await says(bench, spec, "told")
    said = await bench.engine.logs(spec.name, 200)
    assert "root: read-only" in said
    assert "tmp: writable" in said
    mount = next(line for line in said.splitlines() if line.startswith("tmpmount: tmpfs"))
    assert all(word in mount for word in ("nosuid", "nodev", "size=1024k"))


async def test_low_ports_are_free_for_every_user(bench: Bench) -> None:
    spec = await bench.run("1", "lowport", container_port=80)
    await served(spec.host_port)


async def test_an_image_speaks_to_nobody_through_its_labels(bench: Bench) -> None:
    spec = await bench.spec("1")
    await bench.engine.create(spec)
    labels = await bench.labels(spec.name)
    assert labels["traefik.http.routers.x.rule"] == ""
    assert (labels["funai.app-id"], labels["traefik.enable"]) == (APP, "false")


async def test_an_images_health_check_does_not_run(bench: Bench) -> None:
    spec = await bench.run("1")
    await served(spec.host_port)
    listing = ["ps", f"--filter=label=funai.app-id={APP}", "--format={{.Status}}"]
    status = await asyncio.to_thread(bench.docker, *listing)
    assert "Up" in status and "health" not in status


async def test_two_apps_are_in_networks_of_their_own(bench: Bench) -> None:
    mine = await bench.run("1", "tell", container_port=80)
    name = f"rt-u-8-{APP}-r1"
    theirs = replace(await bench.spec("2", "tell", container_port=80), name=name, user_id="8")
    bench.made.append(name)
    await bench.engine.create(theirs)
    await bench.engine.start(name)
    for spec in (mine, theirs):
        await says(bench, spec, "told")
    networks = {await _network(bench, mine.name), await _network(bench, theirs.name)}
    assert len(networks) == 2


async def _network(bench: Bench, name: str) -> str:
    said = await bench.engine.logs(name, 200)
    address = next(line.split()[1] for line in said.splitlines() if line.startswith("address:"))
    return address.rpartition(".")[0] + "." + str(int(address.rpartition(".")[2].split("/")[0]) // 16)


async def test_a_network_lives_as_long_as_its_apps_containers(bench: Bench) -> None:
    first_one, second = await bench.spec("1", user_id="9"), await bench.spec("2", user_id="9")
    for spec in (first_one, second):
        await bench.engine.create(spec)
    assert len(await bench.networks("9")) == 1
    await bench.engine.remove(first_one.name)
    assert len(await bench.networks("9")) == 1
    await bench.engine.remove(second.name)
    assert await bench.networks("9") == []


async def test_networks_that_a_crash_left_behind_go(bench: Bench) -> None:
    spec = await bench.spec("1", user_id="9")
    await bench.engine.create(spec)
    await bench.lose(spec.name)
    assert len(await bench.networks("9")) == 1
    await bench.engine.tidy()
    assert await bench.networks("9") == []
