"""Figures from the kernel's text, and shares of the processor between questions."""

from dataclasses import replace

import pytest

from daemons.agent.domain.apps import AppState, Instance
from daemons.agent.domain.usage import Places, Sample, cpu_pct, places, sample, traffic
from daemons.agent.services.apps import UnknownApp
from daemons.agent.services.ledger import Ledger
from daemons.agent.services.usage import AppUsage
from tests.support.agent_twins import TwinStates
from tests.support.output_twins import TwinUsages

_V1 = "9:name=systemd:/docker/ab\n8:pids:/docker/ab\n4:memory:/docker/ab\n2:cpu,cpuacct:/docker/ab\n0::/docker/ab\n"
_NET = (
    "Inter-|   Receive                |  Transmit\n face |bytes packets\n"
    "    lo: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0\n  eth0: 1200 3 0 0 0 0 0 0 34 5 0 0 0 0 0 0\n"
    "  eth1:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n"
)


def test_groups_of_both_versions_are_found() -> None:
    assert places(_V1) == Places(1, "cpuacct/docker/ab", "memory/docker/ab", "pids/docker/ab")
    assert places("0::/system.slice/docker-ab.scope\n") == Places(2, *["system.slice/docker-ab.scope"] * 3)
    for nothing in ("", "0::/\n", "4:memory:/\n2:cpuacct:/\n0::/\n", "0::/../../etc\n", "garbage"):
        assert places(nothing) is None


def test_figures_of_both_versions() -> None:
    stat = "cache 1\ninactive_file 5\ntotal_inactive_file 20\n"
    files = {
        "cpuacct.usage": "1500000000\n",
        "memory.usage_in_bytes": "100\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.stat": stat,
        "pids.current": "3\n",
    }
    assert sample(1, 1, files, _NET) == Sample(1, 1.5, 80, None, 3, 1205, 40)
    files = {
        "cpu.stat": "usage_usec 250000\nuser_usec 1\n",
        "memory.current": "100",
        "memory.max": "4096",
        "memory.stat": stat,
        "pids.current": "max",
    }
    assert sample(2, 2, files, "") == Sample(2, 0.25, 95, 4096)
    assert sample(3, 2, {}, "eth0: garbage") == Sample(3)
    assert traffic("lo: 1 2 3 4 5 6 7 8 9 0\n") == (None, None)


def test_a_share_is_over_the_time_between() -> None:
    assert cpu_pct(Sample(1, 1.0), Sample(3, 2.0)) == 50
    assert cpu_pct(Sample(1, 5.0), Sample(3, 2.0)) is None
    assert cpu_pct(Sample(1, 1.0), Sample(1, 2.0)) is None
    assert cpu_pct(Sample(1), Sample(3, 2.0)) is None


async def test_the_figures_of_apps_are_those_of_their_current_containers() -> None:
    usages, ledger = TwinUsages(), Ledger(TwinStates())
    await ledger.load()
    for app, container in (("5", "rt-u-7-5-r1"), ("6", "rt-u-7-6-r1")):
        current = Instance(container, "image", "sha256:1", 20001, 3000, 1)
        await ledger.change(app, lambda state, current=current: replace(state, user_id="7", current=current))  # type: ignore[misc]
    await ledger.change("8", lambda state: AppState("8", "7"))
    usages.samples["rt-u-7-5-r1"] = Sample(0, 1.0, 10, 20, 2, 3, 4)
    usages.disk["rt-u-7-5-r1"] = 4096
    service = AppUsage(usages, ledger, span_seconds=0.01)
    running, still = await service.all()
    assert (running.app_id, running.cpu_pct, running.memory_bytes, running.disk_bytes) == ("5", 50.0, 10, 4096)
    assert (still.app_id, still.running, still.cpu_pct) == ("6", False, None)
    again = await service.one("7", "5")
    assert again.cpu_pct == 50.0 and again.cpu_seconds == 2.5
    for user, app in (("8", "5"), ("7", "8"), ("7", "9")):
        with pytest.raises(UnknownApp):
            await service.one(user, app)
