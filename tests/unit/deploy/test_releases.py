"""Which releases can come back, which images may go, and which repository is an app's own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.deploy.domain.images import (
    Artifact,
    PushedImage,
    Reference,
    RegistryPlace,
    artifact_in,
    held_locally,
    immutable_reference,
    own_repository,
    parsed,
    removable,
    unneeded,
)
from daemons.deploy.domain.jobs import Job
from daemons.deploy.domain.releases import (
    BEING_REMOVED,
    KEPT,
    ImageGone,
    NothingToRollBackTo,
    Release,
    config_of,
    image_of,
    may_have_pushed,
    previous,
    released,
    superfluous,
)
from daemons.deploy.domain.stages import Stage
from protocol.jobs import JobStatus, JobType, StageOutcome

HOST, PROJECT = "127.0.0.1:5000", "funaistudio"
PLACE = RegistryPlace(HOST, PROJECT, cleans=True)
NOW = 1_000


@pytest.mark.parametrize(
    ("phase", "payload", "may"),
    [
        ("CLONE", {}, False),
        ("BUILD", {}, False),
        ("PUSH", {}, True),
        ("DEPLOY", {}, True),
        ("DEPLOY", {"image": "x"}, False),
    ],
)
def test_who_came_as_far_as_the_push_may_have_pushed(phase: str, payload: dict[str, object], may: bool) -> None:
    job = Job("j", JobType.BUILD_AND_DEPLOY, JobStatus.FAILED, "20001", "1", payload, 1, 1, phase=phase)
    assert may_have_pushed(job) is may
    earlier = Stage(1, "PUSH", StageOutcome.DONE, 1)
    assert may_have_pushed(replace(job, stages=(earlier,))) is ("image" not in payload)


def test_pushes_are_needed_by_age_by_digest_and_by_tag() -> None:
    pushed = [PushedImage(digest(letter), (f"t-{letter}", "both")[: 2 if letter == "f" else 1]) for letter in "abcdef"]
    assert unneeded(pushed, 6, (), ()) == unneeded([], 0, (), ()) == []
    assert unneeded(pushed, 2, (), ()) == pushed[2:]
    assert unneeded(pushed, 2, {digest("c")}, ()) == pushed[3:]
    named = [f"{HOST}/p/r@{digest('c')}", f"{HOST}/p/r:t-d", f"elsewhere/p/r:moved@{digest('e')}", "local/r:both"]
    assert unneeded(pushed, 2, (), named) == []
    assert unneeded(pushed, 2, (), [f"{HOST}/p/r", f"{HOST}/p/r:t-d@{digest('a')}"]) == pushed[2:]


def digest(letter: str) -> str:
    return f"sha256:{letter * 64}"


def image(letter: str, user: str = "1", app: str = "20001", host: str = HOST, project: str = PROJECT) -> str:
    return f"{host}/{project}/u{user}-app{app}@{digest(letter)}"


def release(number: int, letter: str, **more: object) -> Release:
    made = Release("20001", number, "1", f"job-{number}", image(letter), digest(letter), None, "0" * 64, {}, 1, number)
    return replace(made, **more)  # type: ignore[arg-type]


def job(**more: object) -> Job:
    made = Job("j", JobType.BUILD_AND_DEPLOY, JobStatus.SUCCEEDED, "20001", "1", {}, 1, 2)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("busybox", Reference(None, "busybox", None, None)),
        ("funai/u1-app2:abc-1", Reference(None, "funai/u1-app2", "abc-1", None)),
        ("localhost:5000/a/b", Reference("localhost:5000", "a/b", None, None)),
        ("r.example/a:t@" + digest("a"), Reference("r.example", "a", "t", digest("a"))),
        ("r.example:80/x/y/z@" + digest("b"), Reference("r.example:80", "x/y/z", None, digest("b"))),
    ],
)
def test_a_reference_in_its_parts(text: str, parts: Reference) -> None:
    assert parsed(text) == parts


@pytest.mark.parametrize(
    ("text", "reported", "wanted"),
    [
        (image("a"), None, image("a")),
        (f"{HOST}/p/u1-app2:latest", digest("b"), f"{HOST}/p/u1-app2@{digest('b')}"),
        (f"{HOST}/p/u1-app2:latest", None, None),
        (f"{HOST}/p/u1-app2:latest", "not-a-digest", None),
        ("p/u1-app2:0123456789ab-7", None, "p/u1-app2:0123456789ab-7"),
        ("p/u1-app2:0123456789ab-1a2b3c4d-1", None, "p/u1-app2:0123456789ab-1a2b3c4d-1"),
        ("p/u1-app2:latest", None, None),
        ("p/u1-app2:v1.2", None, None),
        ("p/u1-app2", None, None),
        ("busybox:1.36", digest("c"), None),
    ],
)
def test_only_a_digest_or_the_tag_of_one_commit_names_the_same_bytes_for_ever(
    text: str, reported: str | None, wanted: str | None
) -> None:
    assert immutable_reference(text, reported) == wanted


def test_only_the_apps_own_repository_in_the_registry_of_the_settings_may_be_cleaned() -> None:
    assert removable(PLACE, image("a"), "1", "20001") == Artifact("funaistudio/u1-app20001", digest("a"))
    others = [
        image("a", user="2"),
        image("a", user="11"),
        image("a", app="2000"),
        image("a", app="200011"),
        image("a", project="library"),
        image("a", project="x/funaistudio"),
        image("a", host="registry.example"),
        image("a", host="127.0.0.1:5001"),
        f"{PROJECT}/u1-app20001:0123456789ab-1",
        f"{HOST}/{PROJECT}/u1-app20001:latest",
        f"{HOST}/{PROJECT}/u1-app20001/more@{digest('a')}",
    ]
    assert [removable(PLACE, other, "1", "20001") for other in others] == [None] * len(others)
    assert removable(None, image("a"), "1", "20001") is None
    assert removable(RegistryPlace(HOST, PROJECT), image("a"), "1", "20001") is None


@given(st.from_regex(r"[a-z0-9./:@-]{1,80}", fullmatch=True))
def test_no_name_leads_out_of_the_apps_own_repository(text: str) -> None:
    found = removable(PLACE, text, "1", "20001")
    assert found is None or found.repository == own_repository(PROJECT, "1", "20001")


def test_any_repository_of_that_registry_may_be_looked_at() -> None:
    assert artifact_in(PLACE, image("a", project="library")) == Artifact("library/u1-app20001", digest("a"))
    assert artifact_in(PLACE, image("a", host="r.example")) is None


def test_an_engine_may_write_a_local_image_with_a_host() -> None:
    local = "p/u1-app2:0123456789ab-1"
    for reference in (local, f"localhost/{local}", f"docker.io/{local}"):
        assert held_locally(local, (reference,))
    assert not held_locally(local, (f"{local}0", f"evil.example/{local}", "p/u1-app2:latest"))


def test_a_release_keeps_what_is_needed_to_deploy_it_again() -> None:
    payload = {"userId": "1", "appId": "20001", "gitRef": "main", "containerPort": 8080, "logStart": 7, "image": "x:y"}
    made = released(job(payload=payload, image=image("a"), commit="c" * 40), 4, 9, None, NOW)
    assert made.payload == {"userId": "1", "appId": "20001", "gitRef": "main", "containerPort": 8080}
    assert (made.number, made.node_id, made.created_at, made.image_digest) == (4, 9, NOW, digest("a"))
    again = released(job(payload={"image": image("a")}), 5, 9, made, NOW)
    assert (again.commit, again.image, again.image_digest) == ("c" * 40, image("a"), digest("a"))


def test_a_runner_that_reports_no_image_leaves_the_documented_name() -> None:
    payload = {"acrRegistry": HOST, "acrNamespace": "team", "imageTag": "v1"}
    assert image_of(job(payload=payload)) == f"{HOST}/team/u1-app20001:v1"
    assert image_of(job()) == "funaistudio/u1-app20001:latest"
    assert released(job(), 1, None, None, NOW).reference is None


def test_the_configuration_is_compared_with_its_defaults_filled_in() -> None:
    plain = config_of("20001", {})
    said = {"containerPort": 3000, "basePath": "/runtime/20001/", "healthCheckPath": "/"}
    assert config_of("20001", said) == plain and config_of("20001", said).hash == plain.hash
    hashes = {plain.hash, *(config_of("20001", {key: other}).hash for key, other in CHANGED.items())}
    assert len(hashes) == 4
    # Stored in ledgers: it must never change.
    assert plain.hash == "dc1bdcf4a9650bcc5eb7498159547729caf76a1c074f3478bb75af06ed841194"


CHANGED: dict[str, object] = {"containerPort": 8080, "basePath": "/apps/20001", "healthCheckPath": "/ready"}


def test_the_default_is_the_newest_release_that_would_change_something() -> None:
    one, two, three = release(1, "a"), release(2, "b"), release(3, "b")
    assert previous("20001", [three, two, one]) == one
    other = replace(two, config_hash="1" * 64)
    assert previous("20001", [three, other, one]) == other
    for newest_first in ([], [one], [three, two]):
        with pytest.raises(NothingToRollBackTo):
            previous("20001", newest_first)


def test_the_newest_three_different_images_stay() -> None:
    releases = [release(6, "d"), release(5, "a"), release(4, "d"), release(3, "c"), release(2, "b"), release(1, "a")]
    assert [each.number for each in superfluous(releases, (), NOW)] == [2]


def test_what_is_pinned_held_or_deployed_by_an_active_job_stays_with_all_that_share_it() -> None:
    newest = [release(number, letter) for number, letter in ((9, "x"), (8, "y"), (7, "z"))]
    old = [release(number, letter) for number, letter in ((5, "a"), (4, "b"), (3, "c"), (2, "a"), (1, "d"))]
    assert len(superfluous([*newest, *old], (), NOW)) == 5
    kept = [replace(old[0], pinned=True), replace(old[1], held_until=NOW + 1), *old[2:]]
    assert [each.number for each in superfluous([*newest, *kept], (image("c"),), NOW)] == [1]
    late = [replace(each, held_until=NOW) for each in old]
    assert len(superfluous([*newest, *late], (), NOW)) == 5


def test_what_is_removed_counts_no_more() -> None:
    gone = [replace(release(number, letter), image_removed_at=5) for number, letter in ((3, "b"), (2, "c"))]
    assert superfluous([release(5, "x"), release(4, "y"), *gone, release(1, "a")], (), NOW) == ()


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.booleans()), max_size=12), st.sampled_from("abc")
)
def test_current_newest_and_pinned_images_never_go(kinds: list[tuple[str, bool, bool]], active: str) -> None:
    numbered = enumerate(kinds, start=1)
    releases = [
        release(number, letter, pinned=pinned, held_until=NOW + 1 if held else BEING_REMOVED)
        for number, (letter, pinned, held) in numbered
    ][::-1]
    gone = {each.image for each in superfluous(releases, (image(active),), NOW)}
    newest = list(dict.fromkeys(each.image for each in releases))[:KEPT]
    assert not gone & {*newest, *(each.image for each in releases if each.pinned), image(active)}
    assert not gone & {each.image for each in releases if each.held_until > NOW}


def test_nobody_goes_back_to_what_is_being_removed() -> None:
    release(1, "a").require_kept()
    with pytest.raises(ImageGone, match="being removed"):
        release(1, "a", held_until=BEING_REMOVED).require_kept()
