"""Orders are checked before they are sent, by the wire's own types."""

import pytest

from console.live.order import InvalidOrder, Wish, order, owners_order, wish_of
from protocol.configuration import AppConfig, without_secrets
from tests.console.samples import payload

REPO = "ssh://git@127.0.0.1:2222/funai/u1-app20001.git"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (Wish("", "1", "main", REPO), "appId"),
        (Wish("20001", "", "main", REPO), "userId"),
        (Wish("20001", "1", "main"), "repoSshUrl"),
        (Wish("20001", "0", "main", REPO), "userId"),
        (Wish("UPPER", "1", "main", REPO), "appId"),
        (Wish("20001", "1", "-upload-pack=x", REPO), "gitRef"),
        (Wish("20001", "1", "main", "https://example.org/a.git"), "repoSshUrl"),
        (Wish("20001", "1", image="Not An Image"), "image"),
    ],
)
def test_what_is_wrong_is_named(wish: Wish, field: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        order(wish)
    assert refused.value.field == field


def test_an_image_is_deployed_without_a_repository() -> None:
    made = order(Wish("20001", "1", "main", REPO, "busybox:1.36")).payload
    assert (made.image, made.git_ref, made.repo_ssh_url) == ("busybox:1.36", None, None)


def test_a_redeployment_keeps_what_the_form_does_not_show() -> None:
    earlier = payload("20001", container_port=8080, health_check_path="/health", phase="BUILD", attempt=2)
    made = order(wish_of(earlier), earlier).payload
    assert (made.container_port, made.health_check_path) == (8080, "/health")
    assert made.git_ref == "main"
    assert "phase" not in made.to_data()


def test_nothing_is_kept_for_another_app() -> None:
    earlier = payload("20001", container_port=8080)
    assert order(Wish("20002", "1", "main", REPO), earlier).payload.container_port is None


def test_a_configuration_stays_but_its_secrets_have_to_be_given_again() -> None:
    plain = AppConfig(environment={"LANG": "C.UTF-8"}, memory_bytes=64 * 1024**2)
    earlier = payload("20001", config=plain)
    assert order(wish_of(earlier), earlier).payload.config == plain
    full = plain.model_copy(update={"secrets": {"API_KEY": "x"}})
    hidden = payload("20001", config=without_secrets(full))
    with pytest.raises(InvalidOrder, match="API_KEY") as refused:
        order(wish_of(hidden), hidden)
    assert refused.value.field == "config"
    assert order(wish_of(hidden), hidden, full).payload.config == full


def test_an_owner_is_served_as_the_owner_ordered_last() -> None:
    earlier = payload("20001", ref="v1", container_port=8080, base_path="/runtime/20001", image_tag="x", attempt=2)
    again = owners_order(earlier, "", "")
    assert (again.git_ref, again.container_port, again.base_path, again.image_tag) == (
        "v1",
        8080,
        "/runtime/20001",
        None,
    )
    other = owners_order(earlier, " v2 ", "")
    assert (other.git_ref, other.container_port) == ("v2", 8080)
    ready = owners_order(earlier, "", "busybox:1.36")
    assert (ready.image, ready.git_ref, ready.container_port) == ("busybox:1.36", None, 8080)
    assert not owners_order(None, "", "").model_dump(exclude_none=True)


@pytest.mark.parametrize(("ref", "image", "field"), [("-x", "", "gitRef"), ("", "A B", "image"), ("a", "b", "image")])
def test_what_an_owner_could_not_order_is_named(ref: str, image: str, field: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        owners_order(None, ref, image)
    assert refused.value.field == field


def test_secrets_that_nobody_is_shown_are_asked_for() -> None:
    full = AppConfig(secrets={"API_KEY": "x"})
    hidden = payload("20001", config=without_secrets(full))
    with pytest.raises(InvalidOrder, match="API_KEY"):
        owners_order(hidden, "main", "")
    assert owners_order(hidden, "main", "", full).config == full
