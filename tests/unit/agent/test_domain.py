"""Pure decisions of the agent."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.agent.domain.apps import (
    AppState,
    FenceRequired,
    ForeignApp,
    Instance,
    StaleFence,
    abandon,
    admit,
    commit,
    container_name,
    fall_back,
    forget,
    moved,
    named_by_us,
    retired,
    revert,
    routes,
    start,
    taken_ports,
    withdraw,
)
from daemons.agent.domain.containers import ContainerSpec, Limits, engine_config
from daemons.agent.domain.images import LocalImage, of_app, outdated, tag_fence
from daemons.agent.domain.probing import Answer, ContainerState, Listener, crash, listeners, not_in_time

_GOLDEN = Path(__file__).parent / "container.golden.json"


def instance(fence: int, port: int = 20001) -> Instance:
    return Instance(f"rt-u-7-5-r{fence}", "i", f"sha256:{fence}", port, 3000, fence)


LIVE = AppState("5", "7", 1, current=instance(1))


def test_a_container_is_made_exactly_like_this() -> None:
    spec = ContainerSpec(
        "rt-u-7-5-r3", "n1", "7", "5", 3, "r:5000/f/u7-app5@sha256:0", "sha256:1", 3000, 20001, Limits(), "net"
    )
    assert engine_config(spec) == json.loads(_GOLDEN.read_text())


def test_fences_only_rise() -> None:
    raised = admit(LIVE, user_id="7", fence=4, required=True)
    assert raised.fence == 4
    assert admit(raised, user_id="7", fence=4, required=True) == raised
    with pytest.raises(StaleFence):
        admit(raised, user_id="7", fence=3, required=True)
    assert admit(raised, user_id="7", fence=None, required=False).fence == 4
    with pytest.raises(FenceRequired):
        admit(raised, user_id="7", fence=None, required=True)


def test_an_app_of_another_user_is_refused_until_it_is_gone() -> None:
    with pytest.raises(ForeignApp):
        admit(LIVE, user_id="8", fence=2, required=True)
    gone = forget(withdraw(LIVE))
    assert admit(gone, user_id="8", fence=2, required=True).user_id == "8"
    with pytest.raises(StaleFence):
        admit(admit(gone, user_id="8", fence=2, required=True), user_id="7", fence=1, required=True)


def test_commit_and_revert_are_each_others_inverse_for_visitors() -> None:
    tried = start(LIVE, instance(2, 20002))
    switched = commit(tried, instance(2, 20002))
    assert routes([switched]) == {"5": 20002}
    assert [one.container for one in switched.retiring] == ["rt-u-7-5-r1"]
    assert switched.previous_image_id == "sha256:1"
    undone = revert(switched, tried)
    assert routes([undone]) == {"5": 20001}
    assert (undone.retiring, undone.candidate) == ((), instance(2, 20002))
    assert abandon(undone) == LIVE


def test_ports_stay_taken_until_their_container_is_gone() -> None:
    switched = commit(LIVE, instance(2, 20002))
    assert taken_ports([switched]) == {20001, 20002}
    assert taken_ports([retired(switched, "rt-u-7-5-r1")]) == {20002}
    assert taken_ports([withdraw(switched)]) == {20001, 20002}


def test_a_survivor_takes_over_and_the_lost_one_retires() -> None:
    switched = commit(LIVE, instance(2, 20002))
    back = fall_back(switched, instance(1))
    assert back.current == instance(1)
    assert [one.container for one in back.retiring] == ["rt-u-7-5-r2"]
    assert routes([moved(back, 20009)]) == {"5": 20009}


@given(st.integers(0, 9), st.lists(st.integers(0, 5), max_size=5))
def test_a_new_container_never_has_the_name_of_one_that_may_serve(fence: int, repeats: list[int]) -> None:
    state = AppState("5", "7", fence)
    for keep in repeats:
        name = container_name(state, "7")
        assert name not in {one.container for one in (state.current, *state.retiring) if one is not None}
        assert named_by_us(name, "7", "5")
        state = commit(state, replace(instance(fence), container=name))
        state = replace(state, retiring=state.retiring[-keep:] if keep else ())


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("rt-u-7-5-r1", True),
        ("rt-u-7-5-r1.2", True),
        ("rt-u-7-5", False),
        ("rt-u-7-55-r1", False),
        ("rt-u-77-5-r1", False),
        ("rt-u-7-5-r1-r2", False),
        ("rt-u-7-5-r1\n", False),
        ("funny_name", False),
    ],
)
def test_names_are_ours_or_not(name: str, ours: bool) -> None:
    assert named_by_us(name, "7", "5") is ours


def test_a_lost_container_says_why() -> None:
    assert crash(ContainerState(running=True), 2**20) is None
    assert "disappeared" in (crash(None, 2**20) or "")
    assert "code 7" in (crash(ContainerState(running=False, exit_code=7), 2**20) or "")
    assert "1 MiB of memory (OOMKilled)" in (
        crash(ContainerState(running=False, exit_code=137, oom_killed=True), 2**20) or ""
    )
    assert crash(ContainerState(running=True, restarts=1), 2**20) is not None


@pytest.mark.parametrize(
    ("last", "found", "says"),
    [
        (Answer(problem="closed", silent=True), [Listener(8080, False), Listener(41799, True)], "it listens on 8080:"),
        (Answer(problem="closed", silent=True), [Listener(3000, True)], "127.0.0.1 only"),
        (Answer(problem="closed", silent=True), [], "set containerPort"),
        (Answer(status=503), [Listener(3000, False)], "HTTP 503"),
        (Answer(problem="no answer within 5 s"), [], "no answer within 5 s"),
        (None, [Listener(3000, False)], "not answered"),
    ],
)
def test_giving_up_says_what_to_change(last: Answer | None, found: list[Listener], says: str) -> None:
    assert says in not_in_time(3000, "/", 60, last, found)


def test_listening_sockets_are_read_from_the_kernels_table() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "   1: 0B00007F:A347 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "   2: 020011AC:0BB8 010011AC:D2F0 01 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "   3: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0 0 0 0 0\n"
        "   4: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 0 0 0 0 0\n"
        "garbage\n"
    )
    assert listeners(table) == (
        Listener(3000, False), Listener(41799, True), Listener(8080, True), Listener(8081, False),
    )  # fmt: skip
    assert listeners("") == ()


def test_images_of_an_app_are_those_of_its_repository() -> None:
    images = [
        LocalImage("1", ("r.example:5000/f/u7-app5:aaaaaaa-1", "other:latest")),
        LocalImage("2", ("f/u7-app55:latest",)),
        LocalImage("3", ("f/u77-app5:latest", "u7-app5:latest", "f/xu7-app5:latest")),
        LocalImage("4", ("r.example:5000/f/u7-app5@sha256:0",)),
    ]
    assert of_app(images, "7", "5") == (
        LocalImage("1", ("r.example:5000/f/u7-app5:aaaaaaa-1",)),
        LocalImage("4", ("r.example:5000/f/u7-app5@sha256:0",)),
    )


def test_only_what_no_attempt_needs_any_more_is_outdated() -> None:
    images = [
        LocalImage("1", ("f/u7-app5:aaaaaaaaaaaa-1",)),
        LocalImage("2", ("f/u7-app5:aaaaaaaaaaaa-2", "f/u7-app5@sha256:2")),
        LocalImage("3", ("f/u7-app5:aaaaaaaaaaaa-3", "f/u7-app5:latest")),
        LocalImage("4", ("f/u7-app5:aaaaaaaaaaaa-4", "f/u7-app5:latest")),
        LocalImage("5", ("f/u7-app5@sha256:5",)),
        LocalImage("6", ("f/u7-app5:v6",)),
    ]
    gone = outdated(images, keep=frozenset(("2",)), below=4)
    assert gone == ("f/u7-app5:aaaaaaaaaaaa-1", "f/u7-app5:aaaaaaaaaaaa-3", "f/u7-app5@sha256:5")


def test_the_attempt_stands_in_the_immutable_tag() -> None:
    assert tag_fence("r:5000/f/u7-app5:0123456789ab-17") == 17
    assert tag_fence("r:5000/f/u7-app5:latest") is None
    assert tag_fence("r:5000/f/u7-app5") is None
