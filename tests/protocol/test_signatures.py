"""Deliveries are proven by a signature over their body and the second they were signed in."""

import hashlib
import hmac

import pytest

from protocol.webhooks import WINDOW_SECONDS, SignatureRefused, check_signature, signature

OLD, NEW = "the-secret-of-last-year", "the-secret-of-this-year"
BODY, NOW = b'{"id":"j:ended"}', 1_767_323_045


def test_the_signature_is_what_the_documentation_says() -> None:
    digest = hmac.new(OLD.encode(), b"1767323045." + BODY, hashlib.sha256).hexdigest()
    assert signature([OLD], NOW, BODY) == f"v1={digest}"


@pytest.mark.parametrize("signs", [[OLD], [NEW], [OLD, NEW]])
def test_one_secret_in_common_is_enough_while_they_rotate(signs: list[str]) -> None:
    check_signature([NEW, OLD], str(NOW), signature(signs, NOW, BODY), BODY, NOW)


@pytest.mark.parametrize(
    ("secrets", "timestamp", "body"),
    [
        ([NEW], str(NOW), BODY),
        ([], str(NOW), BODY),
        ([OLD], str(NOW + 1), BODY),
        ([OLD], str(NOW), BODY + b" "),
        ([OLD], f"{NOW}.0", BODY),
        ([OLD], "", BODY),
        ([OLD], "-5", BODY),
        ([OLD], "9" * 40, BODY),
    ],
)
def test_anything_else_is_refused(secrets: list[str], timestamp: str, body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        check_signature(secrets, timestamp, signature([OLD], NOW, BODY), body, NOW)


@pytest.mark.parametrize("given", ["", "v1=", "v0=abc", "v1=ä", "abc", "v1=a," * 100])
def test_what_is_no_signature_is_refused(given: str) -> None:
    with pytest.raises(SignatureRefused):
        check_signature([OLD], str(NOW), given, BODY, NOW)


@pytest.mark.parametrize("away", [WINDOW_SECONDS + 1, -WINDOW_SECONDS - 1])
def test_what_was_signed_too_long_ago_or_ahead_is_refused(away: int) -> None:
    given = signature([OLD], NOW, BODY)
    check_signature([OLD], str(NOW), given, BODY, NOW + WINDOW_SECONDS)
    check_signature([OLD], str(NOW), given, BODY, NOW - WINDOW_SECONDS)
    with pytest.raises(SignatureRefused, match="compare the clocks"):
        check_signature([OLD], str(NOW), given, BODY, NOW + away)
