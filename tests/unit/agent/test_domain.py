"""Pure decisions of the agent."""

import contextlib
import itertools
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
    Setback,
    StaleFence,
    abandon,
    admit,
    advance,
    begin,
    commit,
    container_name,
    fall_back,
    finished,
    follow,
    forget,
    moved,
    named_by_us,
    resumed,
    retired,
    returned,
    revert,
    routes,
    settle,
    start,
    take_back,
    taken_ports,
    withdraw,
)
from daemons.agent.domain.configuration import RunConfig
from daemons.agent.domain.containers import ContainerSpec, Limits, engine_config
from daemons.agent.domain.images import LocalImage, of_app, outdated, tag_fence
from daemons.agent.domain.probing import Answer, ContainerState, Listener, crash, listeners, not_in_time
from daemons.agent.domain.recovery import Discard, End, FallBack, Follow, Rest, Revive, Unkeep, next_action
from daemons.agent.domain.steps import Step, Strategy, may_follow, steps
from daemons.agent.domain.vigil import Trouble

_GOLDEN = Path(__file__).parent / "container.golden.json"


def instance(fence: int, port: int = 20001) -> Instance:
    return Instance(f"rt-u-7-5-r{fence}", "i", f"sha256:{fence}", port, 3000, fence)


LIVE = AppState("5", "7", 1, current=instance(1))


def test_a_container_is_made_exactly_like_this() -> None:
    spec = ContainerSpec(
        "rt-u-7-5-r3", "n1", "7", "5", 3, "r:5000/f/u7-app5@sha256:0", "sha256:1", 3000, 20001, Limits()
    )
    assert engine_config(spec, "net", ["traefik.http.routers.x.rule", "funai.app-id"]) == json.loads(
        _GOLDEN.read_text()
    )


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


def ready(state: AppState, strategy: Strategy = Strategy.START_FIRST, fence: int = 2) -> AppState:
    """One step before the switch, with a candidate on port 20000 + fence."""
    progress = begin(replace(state, fence=fence), strategy)
    for step in steps(progress.progress.strategy if progress.progress else strategy)[1:]:
        if step is Step.SWITCH:
            break
        progress = start(progress, instance(fence, 20000 + fence)) if step is Step.START else advance(progress, step)
    return progress


def switched(state: AppState, strategy: Strategy = Strategy.START_FIRST, fence: int = 2) -> AppState:
    return commit(ready(state, strategy, fence), instance(fence, 20000 + fence), 10.0)


def watched(state: AppState, strategy: Strategy = Strategy.START_FIRST, fence: int = 2) -> AppState:
    return advance(switched(state, strategy, fence), Step.WATCH)


def test_commit_and_revert_are_each_others_inverse_for_visitors() -> None:
    tried = ready(LIVE)
    after = commit(tried, instance(2, 20002), 10.0)
    assert routes([after]) == {"5": 20002}
    assert (after.warm, after.retiring) == (instance(1), ())
    assert after.previous_image_id == "sha256:1"
    assert revert(after, tried) == tried
    assert abandon(revert(after, tried)) == replace(LIVE, fence=2)


def test_ports_stay_taken_until_their_container_is_gone() -> None:
    after = watched(LIVE)
    assert taken_ports([after]) == {20001, 20002}
    assert taken_ports([settle(after)]) == {20001, 20002}
    assert taken_ports([retired(settle(after), "rt-u-7-5-r1")]) == {20002}
    assert taken_ports([withdraw(after)]) == {20001, 20002}


def test_a_survivor_takes_over_and_the_lost_one_retires() -> None:
    back = fall_back(switched(LIVE), instance(1), 5.0)
    assert back.current == instance(1)
    assert [one.container for one in back.retiring] == ["rt-u-7-5-r2"]
    assert routes([moved(back, 20009)]) == {"5": 20009}
    assert back.setback is None
    lost = fall_back(watched(LIVE), instance(1), 5.0).setback
    assert lost is not None and (lost.fence, lost.at, lost.back_to) == (2, 5.0, 1)


def test_what_failed_in_its_window_gives_way_to_the_warm_one() -> None:
    back = take_back(watched(LIVE), "it crashed", 5.0)
    assert (back.current, back.warm, back.retiring) == (instance(1), None, (instance(2, 20002),))
    assert back.setback == Setback(2, "it crashed", 5.0, 1)
    assert routes([back]) == {"5": 20001}
    alone = take_back(watched(AppState("5", "7", 1)), "it crashed", 5.0)
    assert (alone.current, alone.setback) == (instance(2, 20002), Setback(2, "it crashed", 5.0, None))
    assert not alone.watched


def test_visitors_of_a_one_writer_app_wait_from_before_its_stop_until_one_serves() -> None:
    seen = []
    state = begin(replace(LIVE, fence=2), Strategy.STOP_FIRST)
    for step in steps(Strategy.STOP_FIRST)[1:7]:
        seen.append(routes([state])["5"])
        if step is Step.SWITCH:
            state = commit(state, instance(2, 20002), 10.0)
        else:
            state = start(state, instance(2, 20002)) if step is Step.START else advance(state, step)
    assert seen == [20001, 20001, None, None, None, None]
    assert routes([state]) == {"5": 20002}
    failed = take_back(advance(state, Step.WATCH), "it crashed", 5.0)
    assert routes([failed]) == {"5": None}
    assert routes([returned(failed)]) == {"5": 20001}
    # An app that had one writer keeps that rule in the rollout that ends it.
    writer = replace(LIVE, current=replace(instance(1), config=RunConfig(strategy=Strategy.STOP_FIRST)))
    after = begin(writer, Strategy.START_FIRST)
    assert after.progress is not None and after.progress.strategy is Strategy.STOP_FIRST


@given(st.sampled_from(Strategy), st.lists(st.sampled_from(Step), max_size=12))
def test_no_order_of_steps_leads_past_the_switch_without_a_proof_and_a_word(
    strategy: Strategy, tried: list[Step]
) -> None:
    state = begin(LIVE, strategy)
    taken = [Step.PULL]
    for step in tried:
        with contextlib.suppress(ValueError):
            state = advance(state, step)
            taken.append(step)
    if Step.SWITCH in taken:
        assert taken[: taken.index(Step.SWITCH)].count(Step.CONFIRM) == 1
        assert Step.PROBE in taken[: taken.index(Step.SWITCH)]
    if Step.DRAIN in taken or Step.STOP in taken or Step.PRUNE in taken:
        assert Step.SWITCH in taken or Step.RETURN in taken


@given(st.sampled_from(Strategy))
def test_every_step_but_the_last_has_one_that_follows(strategy: Strategy) -> None:
    for before in Step:
        following = [after for after in Step if may_follow(strategy, before, after)]
        reachable = before in (*steps(strategy), Step.RETURN)
        assert bool(following) == (reachable and before is not Step.PRUNE)
    for before, after in itertools.pairwise(steps(strategy)):
        assert may_follow(strategy, before, after)


UP, DOWN = ContainerState(running=True), ContainerState(running=False, exit_code=1)


@pytest.mark.parametrize(
    ("state", "seen", "action"),
    [
        (LIVE, [UP], Rest()),
        (LIVE, [ContainerState(running=True, kept=True)], Unkeep(instance(1))),
        (LIVE, [ContainerState(running=True, host_port=20009)], Follow(20009)),
        (LIVE, [DOWN], Revive(instance(1))),
        (LIVE, [None], Rest(lost=True)),
        (replace(LIVE, trouble=Trouble(2, "x", 0.0)), [DOWN], Rest(lost=True)),
        (ready(LIVE), [UP, UP], Discard(instance(2, 20002))),
        (ready(LIVE, Strategy.STOP_FIRST), [DOWN, UP], Rest()),
        (switched(LIVE), [UP, UP], Rest()),
        (watched(LIVE), [DOWN, UP], FallBack(instance(1))),
        (watched(LIVE), [DOWN, DOWN], Revive(instance(2, 20002))),
        (watched(LIVE, Strategy.STOP_FIRST), [DOWN, DOWN], Revive(instance(2, 20002))),
        (watched(LIVE, Strategy.STOP_FIRST), [None, DOWN], FallBack(instance(1))),
        (settle(watched(LIVE)), [DOWN, UP], FallBack(instance(1))),
        (settle(watched(LIVE, Strategy.STOP_FIRST)), [DOWN, DOWN], End(instance(1))),
    ],
)
def test_what_a_restarted_agent_does_next(state: AppState, seen: list[ContainerState | None], action: object) -> None:
    engine = dict(zip([one.container for one in state.instances], seen, strict=True))
    assert next_action(state, engine, frozenset()) == action


def test_a_crash_before_the_switch_is_undone_and_after_it_goes_on() -> None:
    assert resumed(abandon(ready(LIVE))).progress is None
    assert resumed(switched(LIVE)).watched
    settled = settle(watched(LIVE))
    assert resumed(settled) == settled
    parked = resumed(ready(LIVE, Strategy.STOP_FIRST))
    assert (parked.candidate, parked.retiring, routes([parked])) == (None, (instance(2, 20002),), {"5": None})


def test_a_newer_rollout_owns_the_journal() -> None:
    newer = begin(settle(watched(LIVE)), Strategy.START_FIRST)
    assert follow(newer, Step.STOP) == newer
    assert finished(newer) == newer
    assert begin(watched(LIVE), Strategy.START_FIRST).retiring == (instance(1),)
    left = begin(ready(LIVE), Strategy.START_FIRST)
    assert (left.candidate, left.retiring) == (None, (instance(2, 20002),))


@given(st.integers(0, 9), st.lists(st.integers(0, 5), max_size=5))
def test_a_new_container_never_has_the_name_of_one_that_may_serve(fence: int, repeats: list[int]) -> None:
    state = AppState("5", "7", fence)
    for keep in repeats:
        name = container_name(state, "7")
        assert name not in {one.container for one in (state.current, *state.retiring) if one is not None}
        assert named_by_us(name, "7", "5")
        old = (state.current,) if state.current is not None else ()
        state = replace(state, current=replace(instance(fence), container=name), retiring=(*state.retiring, *old))
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
