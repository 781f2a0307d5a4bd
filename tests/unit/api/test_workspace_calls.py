"""Which calls go on, how they travel, and what they make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.api.domain.access import Subject
from daemons.api.domain.forwarding import (
    PREFIX,
    Ambiguous,
    Call,
    Carriage,
    NotForwarded,
    call_of,
    carriage,
    checked_document,
    forwarded_headers,
    returned_headers,
)

ME = Subject(7)


@given(st.text(max_size=40))
def test_no_path_but_a_plain_one_goes_on(tail: str) -> None:
    try:
        call = call_of("GET", f"{PREFIX}/{tail}", ME)
    except (NotForwarded, Ambiguous):
        return
    except Exception as error:
        assert type(error).__name__ == "WrongUser"
        return
    assert not set(call.path) & set("%\\?#;: ") and "//" not in call.path and "/." not in call.path
    assert not call.path.casefold().startswith("/internal/") and call.path.casefold() != "/internal"


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=6))
def test_the_node_reads_what_was_checked(named: dict[str, str]) -> None:
    sent = Call("GET", "/files/tree", named).query(7, 3)
    try:
        read = call_of("GET", f"{PREFIX}/files/tree?{sent}", ME)
    except Ambiguous:
        return
    assert read.parameters == {name: value for name, value in named.items() if name not in ("userId", "epoch")}


@pytest.mark.parametrize(
    ("method", "path", "makes"),
    [
        ("POST", "/container/ensure", True),
        ("POST", "/run/start", True),
        ("POST", "/files/content", True),
        ("GET", "/files/content", False),
        ("POST", "/container/heartbeat", False),
        ("POST", "/container/remove", False),
        ("POST", "/run/stop", False),
        ("POST", "/files/delete", False),
        ("GET", "/container/ensure", False),
        ("GET", "/terminal", False),
    ],
)
def test_only_what_needs_a_place_makes_one(method: str, path: str, makes: bool) -> None:
    assert Call(method, path, {}).makes is makes
    assert Call("GET", "/terminal", {}, upgrades=True).makes


@pytest.mark.parametrize(
    ("path", "kind", "how"),
    [
        ("/files/content", "application/json", Carriage.DOCUMENT),
        ("/files/content", "application/octet-stream", Carriage.DOCUMENT),
        ("/files/content", "multipart/form-data", Carriage.STREAM),
        ("/files/upload-file", "application/json", Carriage.STREAM),
        ("/files/uploads/ab12", "application/json", Carriage.STREAM),
        ("/files/uploads", "application/json", Carriage.DOCUMENT),
    ],
)
def test_orders_are_read_and_files_are_not(path: str, kind: str, how: Carriage) -> None:
    assert carriage(Call("POST", path, {}), kind, has_body=True) is how
    assert carriage(Call("POST", path, {}), kind, has_body=False) is Carriage.NONE


@pytest.mark.parametrize("body", ["{}", " { } ", '{"path": "a"}', '\n{"a": {"userId": 2}}'])
def test_who_is_not_named_is_the_caller(body: str) -> None:
    told, app = checked_document(body.encode(), Call("POST", "/x", {}), ME)
    assert app is None
    again, _ = checked_document(told, Call("POST", "/x", {}), ME)
    assert again == told and b'"userId":"7"' in told


def test_query_and_body_name_one_app() -> None:
    body = b'{"userId": 7, "appId": 5}'
    assert checked_document(body, Call("POST", "/x", {"appId": "5"}), ME)[1] == "5"
    with pytest.raises(Ambiguous):
        checked_document(body, Call("POST", "/x", {"appId": "6"}), ME)


def test_headers_that_go_on_and_back() -> None:
    given_ = [("Authorization", "Bearer x"), ("RANGE", "bytes=0-"), ("Range", "second"), ("X-WS-Signature", "s")]
    assert forwarded_headers(given_) == {"Range": "bytes=0-"}
    back = [("Connection", "close"), ("ETag", "e"), ("Set-Cookie", "c"), ("X-WS-Port", "1"), ("Retry-After", "1")]
    assert returned_headers(back) == [("ETag", "e"), ("Retry-After", "1")]
