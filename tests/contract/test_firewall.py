"""The packet filter rules around apps, set and taken away for real; the interfaces that they name do not exist."""

import secrets
import subprocess
from collections.abc import AsyncIterator

import pytest

from daemons.kit.engine.fences import Fence
from daemons.kit.engine.firewall import Iptables
from tests.support import real

pytestmark = pytest.mark.real


@pytest.fixture
async def fence() -> AsyncIterator[Fence]:
    name = f"fo{secrets.token_hex(2)}-"
    found = Fence(f"FUNAI-{name[:-1].upper()}", (f"{name}+", f"{name}x"), (53,))
    yield found
    await Iptables().release(found)


def rules(word: str) -> list[str]:
    argv = [real.program("iptables", "iptables"), "-w", "-t", "mangle", "-S"]
    lines = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if word in line]


async def test_rules_stand_once_however_often_they_are_set_and_go_as_a_whole(fence: Fence) -> None:
    firewall = Iptables()
    await firewall.hold(fence)
    before = rules(fence.chain)
    await firewall.hold(fence)
    assert rules(fence.chain) == before
    assert [line for line in before if "PREROUTING" in line] == [
        f"-A PREROUTING -i {interface} -j {fence.chain}" for interface in reversed(fence.interfaces)
    ]
    assert any(f"-A {fence.chain} -d 169.254.0.0/16 -j DROP" in line for line in before)
    await firewall.release(fence)
    assert rules(fence.chain) == []
    await firewall.release(fence)


async def test_the_server_that_apps_are_sent_to_is_open_and_an_unknown_name_closes_nothing(
    fence: Fence, caplog: pytest.LogCaptureFixture
) -> None:
    firewall = Iptables(servers=[("localhost", 27017), ("10.1.2.3", 27018), ("nobody.invalid", 1)])
    await firewall.hold(fence)
    await firewall.hold(fence)
    assert caplog.text.count("name is not known") == 1
    opened = [line for line in rules(fence.chain) if "--dport 2701" in line]
    assert opened == [
        f"-A {fence.chain} -d 127.0.0.1/32 -p tcp -m tcp --dport 27017 -j RETURN",
        f"-A {fence.chain} -d 10.1.2.3/32 -p tcp -m tcp --dport 27018 -j RETURN",
    ]
    await firewall.release(fence)
