"""Guards of writes, trees, archives, forms, searches and changes, without a file system."""

import base64
import hashlib

import pytest

from daemons.workspace.domain.archive import ArchiveLimits, ArchiveRefused, Budget, Packed, plan
from daemons.workspace.domain.changes import Change, settled
from daemons.workspace.domain.files import Changed, Entry, Guard, Kind, TagChanged, Taken, WrongKind, tags_of
from daemons.workspace.domain.multipart import Multipart, MultipartRefused, PartBegins
from daemons.workspace.domain.search import Wanted
from daemons.workspace.domain.tree import Listed, TreeLimits, hidden, nested
from daemons.workspace.domain.uploads import Checksum, ChecksumMismatch, Summing

NOW = Entry(Kind.FILE, 5, 1000, '"a"')


@pytest.mark.parametrize(
    ("guard", "now", "refused"),
    [
        (Guard(), None, None),
        (Guard(), NOW, None),
        (Guard(overwrite=False), None, None),
        (Guard(overwrite=False), NOW, Taken),
        (Guard(expected_ms=1000), NOW, None),
        (Guard(expected_ms=999), NOW, Changed),
        (Guard(expected_ms=1000), None, Changed),
        (Guard(expected_ms=0), None, None),
        (Guard(expected_ms=-1), None, None),
        (Guard(expected_ms=0), NOW, Changed),
        (Guard(tags=('"a"', '"b"')), NOW, None),
        (Guard(tags=("*",)), NOW, None),
        (Guard(tags=("*",)), None, TagChanged),
        (Guard(tags=('"b"',)), NOW, TagChanged),
        (Guard(tags=()), NOW, TagChanged),
        (Guard(), Entry(Kind.LINK, 0, 0, ""), WrongKind),
        (Guard(), Entry(Kind.FOLDER, 0, 0, ""), WrongKind),
    ],
)
def test_a_write_takes_place_when_what_is_there_is_what_was_expected(
    guard: Guard, now: Entry | None, refused: type[Exception] | None
) -> None:
    if refused is None:
        guard.check(now)
    else:
        with pytest.raises(refused):
            guard.check(now)


def test_entity_tags_are_read_weak_and_strong() -> None:
    assert tags_of('W/"a", "b" ,*') == ('"a"', '"b"', "*")


def test_limits_of_trees_are_clamped() -> None:
    assert TreeLimits.clamped(99, 10**9) == TreeLimits(20, 20_000)
    assert TreeLimits.clamped(-1, 0) == TreeLimits(0, 1)


def test_folders_come_first_and_entries_nest() -> None:
    folder = Entry(Kind.FOLDER, 0, 0, "")
    paths = [(("b",), NOW), (("a",), folder), (("a", "x"), NOW), (("a", "c"), folder)]
    nodes = nested([Listed(path, entry) for path, entry in paths], ())
    assert [node.listed.path for node in nodes] == [("a",), ("b",)]
    assert [node.listed.path for node in nodes[0].children] == [("a", "c"), ("a", "x")]
    assert hidden("build", Kind.FOLDER) and not hidden("build", Kind.FILE)


def packed(name: str, **more: int) -> Packed:
    return Packed(name, name.endswith("/"), more.get("size", 1), more.get("flags", 0), more.get("mode", 0), 8)


def test_what_is_kept_is_not_taken_from_an_archive() -> None:
    entries = [packed(name) for name in ("a", ".git/config", "b/.gitignore", "b/", "b/c", "Dockerfile")]
    assert [each.path for each in plan(entries, ArchiveLimits(), 100)] == [("a",), ("b",), ("b", "c")]


@pytest.mark.parametrize(
    "entries",
    [
        [packed("a"), packed("a")],
        [packed("a"), packed("./a")],
        [packed("a/b"), packed("a")],
        [packed("a", flags=1)],
        [packed("a", mode=0o120777)],
        [packed("a", mode=0o020666)],
        [packed("/a")],
        [packed("\\a")],
        [packed("c:a")],
        [packed("a/../b")],
        [packed("a", size=101)],
        [packed("a", size=60), packed("b", size=60)],
        [Packed("a", False, 1, 0, 0, 14)],
        [packed(str(number)) for number in range(6)],
        [packed("a/b/c/d")],
    ],
)
def test_a_bad_archive_has_no_plan(entries: list[Packed]) -> None:
    with pytest.raises(ArchiveRefused):
        plan(entries, ArchiveLimits(entries=5, total_bytes=100, depth=3), 100)


def test_what_is_extracted_is_counted_whatever_was_declared() -> None:
    budget = Budget(ArchiveLimits(total_bytes=1000, ratio=2, ratio_from_bytes=50), 100)
    budget.spend(200)
    with pytest.raises(ArchiveRefused):
        budget.spend(1)


FORM = (
    b'preamble\r\n--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
    b'--b \r\ncontent-disposition: form-data; filename="x"; name=file\r\nContent-Type: a/b\r\n\r\n\r\n--\r\n-\r\r\n'
    b"--b--\r\nepilogue"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_a_form_is_read_in_pieces_of_any_size(size: int) -> None:
    form, read, name = Multipart('multipart/form-data; charset=x; boundary="b"'), dict[str, bytes](), ""
    for at in range(0, len(FORM), size):
        for told in form.feed(FORM[at : at + size]):
            if isinstance(told, PartBegins):
                name = told.name
                read[name] = b""
            else:
                read[name] += told
    assert form.ended and read == {"note": b"hello", "file": b"\r\n--\r\n-\r"}


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b"]
)
def test_what_is_no_form_is_refused(kind: str) -> None:
    with pytest.raises(MultipartRefused):
        Multipart(kind)


@pytest.mark.parametrize(
    "body", [b"--bx", b"--b\r\n\r\nx", b"--b\r\nX: y\r\n\r\n", b"--b\r\nX: " + b"y" * 20_000, b"--b" + b" " * 20_000]
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    form = Multipart("multipart/form-data; boundary=b")
    with pytest.raises(MultipartRefused):
        list(form.feed(body + b"xx"))


def test_lines_are_found_with_their_columns() -> None:
    wanted = Wanted("needle")
    data = "äNEEDLE\r\nno\n\nİ x needle needle".encode()
    assert [(match.line, match.column) for match in wanted.in_data(("a",), data)] == [(1, 2), (4, 5)]
    assert [match.text for match in wanted.in_data(("a",), data)] == ["äNEEDLE", "İ x needle needle"]
    assert list(wanted.in_data(("a",), b"needle\0")) == []
    long = next(wanted.in_data(("a",), b"x" * 5000 + b"needle" + b"y" * 5000))
    assert long.column == 5001 and long.text is not None and len(long.text) == 200 and "needle" in long.text


@pytest.mark.parametrize(
    ("seen", "exists", "told"),
    [
        ("C", True, Change.CREATED),
        ("CM", True, Change.CREATED),
        ("M", True, Change.MODIFIED),
        ("CD", True, Change.MODIFIED),
        ("DC", True, Change.MODIFIED),
        ("D", False, Change.DELETED),
        ("MD", False, Change.DELETED),
        ("CD", False, None),
        ("CMD", False, Change.DELETED),
    ],
)
def test_several_changes_come_to_one(seen: str, exists: bool, told: Change | None) -> None:
    kinds = {"C": Change.CREATED, "M": Change.MODIFIED, "D": Change.DELETED}
    assert settled([kinds[each] for each in seen], exists) is told


def test_checksums_are_read_and_compared() -> None:
    digest = base64.b64encode(hashlib.sha256(b"12").digest()).decode()
    summing = Summing(Checksum.of(f"sha256 {digest}"))
    summing.add(b"1")
    with pytest.raises(ChecksumMismatch):
        summing.check()
    summing.add(b"2")
    summing.check()
    for header in ("", "md5 AAAA", "sha1 !"):
        with pytest.raises(ValueError, match="must"):
            Checksum.of(header)
