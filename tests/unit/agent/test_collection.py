"""What may be removed from a node, and what never."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from daemons.agent.domain.apps import AppState, Instance
from daemons.agent.domain.collection import (
    LARGE_LOG_BYTES,
    ContainerLog,
    Holdings,
    Kept,
    Why,
    apps_with_images,
    by_itself,
    large_logs,
    plan,
    protected,
)
from daemons.agent.domain.images import LocalImage, owner_of

NOW, OLD = 1_000_000, 1000
APPS = ("1", "2", "3")


def image(number: int, *references: str, created: int = OLD, owner: tuple[str, str] | None = None) -> LocalImage:
    return LocalImage(f"sha256:{number}", references, created, 10, owner)


def release(app_id: str, number: int, registry: str = "r.example/") -> str:
    return f"{registry}funai/u7-app{app_id}:{'a' * 12}-{number}"


def instance(image_id: str, container: str = "c") -> Instance:
    return Instance(container, "x", image_id, 20000, 3000, 1)


def test_things_go_in_the_stated_order() -> None:
    images = [
        image(1, release("1", 3), created=300),
        image(2, release("1", 1), created=100),
        image(3, release("2", 1), created=200),
        image(4, owner=("7", "1"), created=500),
        image(5, release("1", 2), created=50),
    ]
    kept = {"1": Kept(True), "2": Kept(False)}
    found = plan(Holdings(images, frozenset(), {}, kept, NOW))
    assert [(each.why, each.image_id[-1]) for each in found] == [
        (Why.DANGLING, "4"),
        (Why.DELETED_APP, "3"),
        (Why.OLD_RELEASE, "5"),
        (Why.OLD_RELEASE, "2"),
        (Why.OLD_RELEASE, "1"),
    ]


def test_a_tag_goes_before_its_digest() -> None:
    digest = f"r.example/funai/u7-app1@sha256:{'b' * 64}"
    (only,) = plan(Holdings([image(1, digest, release("1", 1))], frozenset(), {}, {"1": Kept(True)}, NOW))
    assert only.references == (release("1", 1), digest)


def test_what_may_be_on_its_way_stays() -> None:
    images = [
        image(1, owner=("7", "1"), created=NOW - 60),
        image(2, release("2", 1), created=NOW - 60),
        image(3, "r.example/funai/u7-app1:latest"),
    ]
    assert plan(Holdings(images, frozenset(), {}, {"1": Kept(True), "2": Kept(False)}, NOW)) == ()


def test_an_app_that_is_only_stopped_keeps_its_images_whatever_the_control_plane_forgot() -> None:
    state = AppState("1", user_id="7", fence=3)
    assert plan(Holdings([image(1, release("1", 1))], frozenset(), {"1": state}, {"1": Kept(False)}, NOW)) == ()


def test_without_a_control_plane_the_newest_attempts_stay() -> None:
    images = [image(number, release("1", number), created=number) for number in range(1, 7)]
    kept = by_itself(AppState("1", user_id="7", fence=6), images)
    assert kept is not None
    found = plan(Holdings(images, frozenset(), {}, {"1": kept}, NOW))
    assert [each.image_id[-1] for each in found] == ["1", "2", "3"]
    assert by_itself(AppState("1"), images) is None, "an app that was never here may be another node's"
    assert by_itself(AppState("1", fence=4), images) == Kept(known=False), "it was deleted here"


def test_only_logs_beyond_the_rotation_are_cut_the_largest_first() -> None:
    logs = [ContainerLog(name, name, size) for name, size in (("a", 1), ("b", LARGE_LOG_BYTES), ("c", 2**40))]
    assert [log.container for log in large_logs(logs)] == ["c", "b"]


references = st.one_of(
    st.builds(release, st.sampled_from(APPS), st.integers(1, 4)),
    st.sampled_from(["busybox:1", "others/tool:1", "r.example/funai/u7-app1:latest", "r.example/others/u7-appx/y:1"]),
    st.builds(
        lambda app, letter: f"r.example/funai/u7-app{app}@sha256:{letter * 64}",
        st.sampled_from(APPS),
        st.sampled_from("ab"),
    ),
)
images = st.builds(
    LocalImage,
    st.integers(1, 8).map(lambda number: f"sha256:{number}"),
    st.lists(references, max_size=3, unique=True).map(tuple),
    st.sampled_from((OLD, NOW - 5)),
    st.just(10),
    st.sampled_from((None, ("7", "1"))),
)
instances = st.one_of(st.none(), st.integers(1, 8).map(lambda number: instance(f"sha256:{number}")))
states = st.builds(
    AppState,
    st.sampled_from(APPS),
    user_id=st.sampled_from((None, "7")),
    fence=st.integers(0, 5),
    current=instances,
    candidate=instances,
    retiring=instances.map(lambda one: (one,) if one else ()),
    previous_image_id=st.sampled_from((None, "sha256:1", "sha256:2")),
)
kepts = st.builds(
    Kept,
    st.booleans(),
    st.lists(references, max_size=2).map(frozenset),
    st.lists(references, max_size=2).map(frozenset),
)
holdings = st.builds(
    Holdings,
    st.lists(images, max_size=8, unique_by=lambda each: each.image_id),
    st.lists(st.integers(1, 8).map(lambda number: f"sha256:{number}"), max_size=2).map(frozenset),
    st.lists(states, max_size=3, unique_by=lambda each: each.app_id).map(
        lambda all_: {each.app_id: each for each in all_}
    ),
    st.dictionaries(st.sampled_from(APPS), kepts),
    st.just(NOW),
    st.sampled_from(("", release("1", 1))),
)


@settings(max_examples=400, deadline=None)
@given(holdings)
def test_nothing_is_ever_planned_that_somebody_needs_or_that_is_not_ours(found: Holdings) -> None:
    by_id = {each.image_id: each for each in found.images}
    always = frozenset(name for kept in found.kept.values() for name in kept.always)
    for removal in plan(found):
        image = by_id[removal.image_id]
        assert removal.image_id not in found.in_use
        assert all(removal.image_id not in protected(state) for state in found.states.values())
        assert not always.intersection(image.references)
        assert found.wanted not in image.references
        assert set(removal.references) <= set(image.references)
        if removal.why is Why.DANGLING:
            assert image.references == () and image.owner is not None
            continue
        owners = {owner_of(name) for name in removal.references}
        assert None not in owners and removal.references
        assert removal.app_id in found.kept, "what the control plane was not asked about stays"
        assert {owner[1] for owner in owners if owner} == {removal.app_id}


@settings(deadline=None)
@given(holdings)
def test_knowing_less_never_removes_more(found: Holdings) -> None:
    full = {(each.image_id, each.references) for each in plan(found)}
    for app_id in found.kept:
        without = {name: kept for name, kept in found.kept.items() if name != app_id}
        # An app's list may also protect images that another app's repository names, so only the app's own are compared.
        fewer = {
            (each.image_id, each.references) for each in plan(replace(found, kept=without)) if each.app_id == app_id
        }
        assert fewer == set()
    assert {each.app_id for each in plan(found) if each.app_id} <= set(apps_with_images(found.images))
    assert len(full) == len(plan(found))
