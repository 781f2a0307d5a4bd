"""Streams of output without secrets in them, however they are cut."""

import base64
from collections.abc import Iterable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.kit.log_stream import LogStream
from daemons.kit.logs import Redactor, spellings
from daemons.kit.token_shapes import spans

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
RANDOM = "Zq7" + "x9Kd2mWv4T" * 6
SHAPES = {
    "classic": f"ghp_{RANDOM[:36]}",
    "fine-grained": f"github_pat_{RANDOM[:40]}",
    "gitlab": f"glpat-{RANDOM[:20]}",
    "npm": f"npm_{RANDOM[:36]}",
    "amazon": "AKIAIOSFODNN7EXAMPLE",
    "google": f"AIza{RANDOM[:35]}",
    "slack": f"xoxb-{RANDOM[:24]}",
    "stripe": f"sk_live_{RANDOM[:24]}",
    "docker": f"dckr_pat_{RANDOM[:27]}",
    "signed": f"eyJ{RANDOM[:30]}.eyJ{RANDOM[:40]}.{RANDOM[:43]}",
}
NAMED = {
    "bearer": ("Authorization: Bearer ", RANDOM[:30], "\n"),
    "basic": ('"authorization":"Basic ', "dXNlcjpodW50ZXIy", '"'),
    "npmrc": ("//registry.example/:_authToken=", RANDOM[:30], "\n"),
    "address": ("https://user:", "pa55-word", "@git.example/x.git"),
    "user": ("https://", "0123456789abcdef0123", "@git.example/x.git"),
    "amazon": ("AWS_SECRET_ACCESS_KEY=", RANDOM[:40], " "),
}
EXACT = ("hunter2-hunter2", "p/a+s w%rd-of-a-database", "K" * 500)
KEY_LINES = [f"{RANDOM[:60]}ABCDEFGH"] * 9
KEY = "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *KEY_LINES, "QQ==", "-----END OPENSSH PRIVATE KEY-----"])


def streamed(text: str, cuts: Iterable[int]) -> str:
    stream, start, out = LogStream(Redactor(spellings(EXACT), shapes=True)), 0, ""
    for end in (*sorted({min(cut, len(text)) for cut in cuts}), len(text)):
        out += stream.feed(text[start:end])
        start = end
    return out + stream.end()


SECRET = st.sampled_from([*SHAPES.values(), *EXACT])
FILLING = st.one_of(
    st.text(" \t\n\r.,:=/@-_ab7\x1b[m", max_size=40),
    st.sampled_from(["x " * 5000, "y" * 9000, "line\n" * 30, "\r 10% ==>"]),
)
LONG = "x" * 12_000 + " {} " + "y" * 12_000


@given(st.lists(st.one_of(SECRET, FILLING), max_size=10), st.lists(st.integers(0, 60_000), max_size=20))
def test_what_comes_out_does_not_depend_on_how_the_text_was_cut(parts: list[str], cuts: list[int]) -> None:
    text = " ".join(parts)
    out = streamed(text, cuts)
    assert out == streamed(text, ())
    for secret in (*SHAPES.values(), *EXACT):
        assert secret not in out
    # Letters that no filling has are from credentials.
    assert "Zq7" not in out and "hunter2-h" not in out


@pytest.mark.parametrize("secret", EXACT, ids=["short", "spaced", "long"])
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
def test_a_secret_is_found_in_every_spelling(secret: str, before: str) -> None:
    redact = Redactor(spellings((secret,))).text
    for size in range(4):
        encoded = base64.b64encode(f"{before}{secret}{'!' * size}".encode()).decode()
        for text in (encoded, encoded.replace("+", "-").replace("/", "_"), encoded.rstrip("=")):
            left = redact(f"x {text} y")
            assert "[secret]" in left and len(left) < len("x [secret] y") + 16, left
    for quoted in (quote(secret, safe=""), quote(secret), quote(secret, safe="").lower(), secret.replace(" ", "+")):
        assert secret[:8] not in redact(quoted) or quoted == secret.lower() != secret


@pytest.mark.parametrize("name", SHAPES)
def test_a_token_is_known_by_its_shape_in_any_place(name: str) -> None:
    for text in (
        "{}",
        "npm error {}\n",
        "TOKEN={} next",
        '"{}",',
        "\x1b[31m{}\x1b[0m",
        "x" * 12_000 + " {} " + "y" * 12_000,
    ):
        assert streamed(text.format(SHAPES[name]), (7,)).rstrip("\n") == text.format("[secret]").rstrip("\n")


@pytest.mark.parametrize("name", NAMED)
def test_of_a_header_or_an_address_the_value_goes(name: str) -> None:
    before, value, after = NAMED[name]
    assert streamed(f"> {before}{value}{after}", ()).rstrip("\n") == f"> {before}[secret]{after}".rstrip("\n")


@pytest.mark.parametrize(
    "text",
    [
        "ssh://git@git.example:2222/u1-app1.git",
        "git@git.example:u1/app.git",
        "https://registry.example/@scope/package@1.2.3",
        "skipping npm_config_registry and ghp_short, sk-learn, task-sk-12",
        "the eyJ in data:application/json;base64,eyJ2ZXJzaW9uIjozfQ==",
        "the authorization of users: see the manual",
        "could not find -----BEGIN CERTIFICATE-----",
        "http://localhost:3000/a:b",
    ],
)
def test_what_is_no_credential_stays(text: str) -> None:
    assert list(spans(text)) == []
    assert streamed(text, ()) == text + "\n"


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_a_private_key_goes_whole_and_what_follows_stays(cuts: list[int]) -> None:
    numbered = "\n".join(f"#12 0.3{n} {line}" for n, line in enumerate(KEY.split("\n")))
    for key in (KEY, KEY.replace("\n", "\\n"), numbered):
        out = streamed(f"before\n{key}\nafter\n", cuts)
        assert "Zq7" not in out and "x9Kd" not in out, out
        assert out.startswith("before\n") and out.endswith("after\n") and "[secret]" in out
    unfinished = streamed("-----BEGIN RSA PRIVATE KEY-----\nis what it must begin with\nnpm ok\n", cuts)
    assert unfinished.endswith("is what it must begin with\nnpm ok\n")


@pytest.mark.parametrize(
    "unit",
    ["\r 12% [====>    ]", "x", "eyJ", "glpat-", "://a:b", "authorization: ", "-----BEGIN PRIVATE KEY-----", "=", "\r"],
)
def test_nothing_is_held_for_long(unit: str) -> None:
    """Two MB without a line feed; what counts is what is held at a time."""
    stream, chunk, most = LogStream(Redactor(EXACT, shapes=True)), (unit * 16_384)[:16_384], 0
    for _ in range(128):
        stream.feed(chunk)
        most = max(most, len(stream.held))
    assert most < 64 * 1024


def test_colours_and_carriage_returns_pass() -> None:
    text = "\x1b[1;32mok\x1b[0m\r\n\r 1%\r 2%\r\nend\n"
    assert streamed(text, range(len(text))) == text
