"""Which names an app may have in the platform's own address."""

import re
from importlib.resources import files

import pytest

from daemons.api.domain.rules import RULES
from daemons.api.domain.slugs import RESERVED, Unavailable, refusal
from protocol.names import SLUG_RULE

TEMPLATES = ("nginx_entry.conf", "haproxy_entry.cfg", "haproxy_front.cfg", "haproxy.cfg", "nginx_workspace.conf")
#: Where a template says which addresses it answers: a location, paths of an ACL, the beginning of an expression.
_WAYS = (
    re.compile(r"location\s+(?:=|~\*?|\^~)?\s*\"?\^?(/[^\s\"{]*)"),
    re.compile(r"path(?:_beg)?((?: /[^\s}]*)+)"),
    re.compile(r"path -m reg (\^/[^\s}]*)"),
)


def segments(pattern: str) -> set[str]:
    """First segments of addresses as templates and routes write them."""
    found = set()
    for address in pattern.split():
        first = re.match(r"\^?/\(?(?:\?:)?([A-Za-z0-9_.@|-]+)", address)
        found |= set(first[1].split("|")) if first else set()
    return found


def ways() -> set[str]:
    """First segments of all that gateways and the API take."""
    found = {segment for _, path in RULES for segment in segments(path)}
    for name in TEMPLATES:
        text = files("daemons.kit").joinpath(name).read_text(encoding="utf-8")
        found |= {segment for way in _WAYS for match in way.findall(text) for segment in segments(match)}
    return found


def test_no_slug_shadows_an_address_of_the_platform() -> None:
    found = ways()
    assert {"api", "internal", "metrics", "runtime", "apps", "preview", "ws", "gateway", "fun-agent", "doc"} <= found
    assert {segment for segment in found if re.fullmatch(SLUG_RULE, segment)} <= RESERVED


def test_the_documented_words_are_reserved() -> None:
    documented = "api doc docs admin login register runtime preview swagger-ui assets static"
    assert set(documented.split()) <= RESERVED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ab",
        "a" * 41,
        "-abc",
        "abc-",
        "a--b",
        "Abc",
        "a_b",
        "a.b",
        "a/b",
        "äbc",
        "abc\n",
        "a b",
        "%61bc",
        "abc\u0661",
    ],
)
def test_what_is_no_slug(text: str) -> None:
    assert refusal(text) is Unavailable.INVALID


@pytest.mark.parametrize("text", ["abc", "a" * 40, "my-shop", "1-2-3", "20001"])
def test_what_is_one(text: str) -> None:
    assert refusal(text) is None
