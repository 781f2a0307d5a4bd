"""What the git server lets a client ask for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.git.domain.access import AccessDenied, Grant, Holder, Level, admit, level, may_create
from daemons.git.domain.commands import Command, CommandRefused, Service, parse, protocol_version

OWN = "funai/u1-app20001"


@pytest.mark.parametrize("path", ["'/funai/u1-app20001.git'", "funai/u1-app20001.git", '"/funai/u1-app20001.git"'])
@pytest.mark.parametrize("service", list(Service))
def test_the_three_services_on_one_repository(service: Service, path: str) -> None:
    assert parse(f"{service} {path}") == Command(service, OWN)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "git-upload-pack",
        "git-upload-pack a/b.git c/d.git",
        "git-upload-pack a/b",
        "git-upload-pack .git",
        "git-upload-pack /.git",
        "git-upload-pack a/.git",
        "git-upload-pack ../b.git",
        "git-upload-pack a/../b.git",
        "git-upload-pack a/b..git",
        "git-upload-pack //a/b.git",
        "git-upload-pack /a/b/c.git",
        "git-upload-pack -a/b.git",
        "git-upload-pack a/-b.git",
        "git-upload-pack A/b.git",
        "git-upload-pack a/b.git/",
        "git-upload-pack 'a/b.git\n'",
        "git-upload-pack 'a/b\x00.git'",
        "git-upload-pack ~/b.git",
        "git-upload-pack 'a/b.git",
        "git-upload-packs a/b.git",
        "GIT-UPLOAD-PACK a/b.git",
        "git upload-pack a/b.git",
        "/usr/bin/git-upload-pack a/b.git",
    ],
)
def test_everything_else_is_refused(text: str | None) -> None:
    with pytest.raises(CommandRefused):
        parse(text)


@given(st.text(max_size=600))
def test_no_text_gets_further_than_a_plain_name(text: str) -> None:
    for command in (text, f"git-upload-pack {text}", f"git-receive-pack '{text}'", f"git-upload-pack a/{text}.git"):
        try:
            repository = parse(command).repository
        except CommandRefused:
            continue
        owner, name = repository.split("/")
        assert set(repository) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-/")
        assert not owner.startswith((".", "-"))
        assert not name.startswith((".", "-"))
        assert ".." not in repository


@pytest.mark.parametrize(
    "value", [None, "", "version=", "version=22", "version=2:x", "version=2\n", "version=a", "v=2"]
)
def test_no_other_protocol_variable_is_passed_on(value: str | None) -> None:
    assert protocol_version(value) is None


def test_a_protocol_version_is_passed_on() -> None:
    assert protocol_version("version=2") == "version=2"


WRITER = Holder("user:1", (Grant(OWN, Level.WRITE), Grant("*", Level.READ)))
READER = Holder("bot:runner", (Grant("*", Level.READ),))


def test_the_highest_grant_counts() -> None:
    assert level(WRITER.grants, OWN) is Level.WRITE
    assert level(WRITER.grants, "funai/other") is Level.READ
    assert level((), OWN) is Level.NONE


@pytest.mark.parametrize("service", [Service.UPLOAD_PACK, Service.UPLOAD_ARCHIVE])
def test_a_reader_reads(service: Service) -> None:
    admit(READER, Command(service, OWN))


def test_a_reader_does_not_write_and_a_stranger_learns_nothing() -> None:
    with pytest.raises(AccessDenied, match="may read"):
        admit(READER, Command(Service.RECEIVE_PACK, OWN))
    with pytest.raises(AccessDenied, match="does not exist, or"):
        admit(Holder("user:2", ()), Command(Service.UPLOAD_PACK, OWN))


def test_only_a_named_writer_makes_a_repository() -> None:
    assert may_create(WRITER, OWN)
    assert not may_create(WRITER, "funai/other")
    assert not may_create(READER, OWN)
    assert not may_create(Holder("admin", (Grant("*", Level.WRITE),)), OWN)
