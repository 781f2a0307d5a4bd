"""Ports, back-off and secrets are decided without touching the machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.supervisor.domain import credentials
from daemons.supervisor.domain.backoff import EX_CONFIG, LONGEST_SECONDS, Backoff
from daemons.supervisor.domain.network import InvalidPortBase, Ports, addresses_beside_others, taken_message


def test_default_ports_are_the_documented_ones() -> None:
    assert Ports().by_role() == {
        "gateway": 8088, "api": 8080, "deploy": 7002, "agent": 7005, "git": 2222, "runner": 7003,
        "workspace": 7001,
    }  # fmt: skip


def test_a_base_moves_every_port() -> None:
    assert list(Ports.starting_at(30000).by_role().values()) == list(range(30000, 30007))
    assert Ports.starting_at(30000).url("git") == "ssh://git@127.0.0.1:30004"


@pytest.mark.parametrize("base", [-1, 0, 80, 1023, 65530, 99999])
def test_a_base_that_does_not_fit_is_refused_by_its_number(base: int) -> None:
    with pytest.raises(InvalidPortBase, match=str(base)):
        Ports.starting_at(base)


def test_a_taken_port_is_named_with_whom_it_is_for() -> None:
    message = taken_message(["deploy", "git"], Ports())
    assert "127.0.0.1:7002 (for deploy)" in message
    assert "127.0.0.1:2222 (for git)" in message
    assert "--port-base" in message


ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	0100000A	0003	0	0	0	00000000	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
"""


def test_an_engine_beside_another_numbers_its_containers_elsewhere() -> None:
    assert addresses_beside_others(ROUTES, 3) == "172.17.19.0/24"
    assert addresses_beside_others(ROUTES, 224) == "172.17.16.0/24"


def test_an_engine_alone_numbers_its_containers_as_it_likes() -> None:
    assert addresses_beside_others(ROUTES.replace("docker0", "br-1234"), 3) is None
    assert addresses_beside_others("", 3) is None


def test_waits_double_up_to_ten_seconds() -> None:
    backoff, waits = Backoff(), []
    for _ in range(9):
        backoff, wait = backoff.after(up_seconds=0.1, exit_code=1)
        waits.append(wait)
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]


def test_a_child_that_stayed_up_starts_over() -> None:
    assert Backoff(failures=9).after(up_seconds=30, exit_code=1) == (Backoff(1), 0.2)


def test_a_refused_configuration_waits_longest_at_once() -> None:
    assert Backoff().after(up_seconds=0.1, exit_code=EX_CONFIG)[1] == LONGEST_SECONDS


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(-15, 255)), max_size=60))
def test_no_wait_is_shorter_than_the_first_or_longer_than_the_longest(ends: list[tuple[float, int]]) -> None:
    backoff = Backoff()
    for up_seconds, code in ends:
        backoff, wait = backoff.after(up_seconds=up_seconds, exit_code=code)
        assert 0.2 <= wait <= LONGEST_SECONDS


def test_secrets_are_made_once_and_survive_the_file() -> None:
    made = iter(f"secret-{number}" for number in range(100))
    first = credentials.completed({"MINE": "kept"}, lambda: next(made))
    again = credentials.completed(credentials.parse(credentials.formatted(first)), lambda: next(made))
    assert again == first
    assert set(first) == {"MINE", *credentials.NAMES}
    assert len(set(first.values())) == len(first)


def test_an_emptied_secret_is_made_new() -> None:
    assert credentials.completed({"API_USER_TOKEN": ""}, lambda: "fresh")["API_USER_TOKEN"] == "fresh"


def test_no_child_receives_a_secret_it_does_not_need() -> None:
    environment = {name: "value" for name in credentials.NAMES} | {"DEPLOY_JOB_MAX_ATTEMPTS": "5", "HOME": "/root"}
    passed = credentials.passed_on("api", environment, ("DEPLOY_", "API_"))
    assert passed == {
        "DEPLOY_JOB_MAX_ATTEMPTS": "5",
        "DEPLOY_PROXY_AUTH_SHARED_SECRET": "value",
        "DEPLOY_ADMIN_TOKEN": "value",
        "DEPLOY_WEBHOOK_SECRET": "value",
        "API_ADMIN_TOKEN": "value",
        "API_USER_TOKEN": "value",
        "API_JWT_SECRET": "value",
    }
