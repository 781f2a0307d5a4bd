"""Public keys as text."""

import asyncssh
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.api.domain.access import git_grants
from daemons.api.domain.keys import InvalidPublicKey, parse

KINDS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]


@pytest.mark.parametrize("kind", KINDS)
def test_keys_are_known_by_their_fingerprint(kind: str) -> None:
    pair = asyncssh.generate_private_key(kind, comment="me@laptop with spaces")
    key = parse(pair.export_public_key().decode())
    assert key.fingerprint == pair.get_fingerprint()
    assert key.text.split() == pair.export_public_key().decode().split()[:2]


def test_rsa_needs_2048_bits() -> None:
    good = asyncssh.generate_private_key("ssh-rsa", key_size=2048).export_public_key().decode()
    assert parse(good).text.startswith("ssh-rsa ")
    short = asyncssh.generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode()
    with pytest.raises(InvalidPublicKey, match="2048"):
        parse(short)


def test_a_private_key_is_named_as_such() -> None:
    pair = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(InvalidPublicKey, match="private key"):
        parse(pair.export_private_key().decode())


def line(kind: str = "ssh-ed25519") -> str:
    return asyncssh.generate_private_key(kind).export_public_key().decode().strip()


def test_options_second_lines_and_damage_are_refused() -> None:
    good = line()
    kind, encoded = good.split()
    for bad in (
        f'command="id" {good}',
        f"{good}\n{line()}",
        f"{kind} {encoded[:-8]}",
        f"{kind} {encoded}AAAA",
        f"{kind} {encoded[:20]}*{encoded[20:]}",
        f"ssh-rsa {encoded}",
        f"ssh-dss {encoded}",
        kind,
        "",
    ):
        with pytest.raises(InvalidPublicKey, match="publicKey: "):
            parse(bad)


@given(st.text())
def test_any_text_is_a_key_or_refused(text: str) -> None:
    for candidate in (text, f"ssh-ed25519 {text}"):
        try:
            key = parse(candidate)
        except InvalidPublicKey:
            continue
        assert key.text.isascii()


def test_users_write_their_own_and_the_bot_reads_all() -> None:
    grants = git_grants([(1, "f1", "k1"), (2, "f2", "k2"), (2, "bot", "kb")], {1: ("funai/a",)}, ("bot", "kb"))
    assert [(grant.principal, grant.fingerprint, grant.writes, grant.reads_all) for grant in grants] == [
        ("bot:runner", "bot", (), True),
        ("user:1", "f1", ("funai/a",), False),
        ("user:2", "f2", (), False),
    ]
