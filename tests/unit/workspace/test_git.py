"""What git says, read as the words of somebody hostile."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.workspace.domain import git

SHA = "a" * 40
OTHER = "b" * 40


def status(*records: str, head: str = "main", oid: str = SHA) -> bytes:
    return "\0".join((f"# branch.oid {oid}", f"# branch.head {head}", *records, "")).encode()


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        (status(), git.Standing(SHA, "main")),
        (status(oid="(initial)"), git.Standing(None, "main")),
        (status(head="(detached)"), git.Standing(SHA, None)),
        (status("? new.txt"), git.Standing(SHA, "main", dirty=True)),
        (status(f"1 .M N... 100644 100644 100644 {SHA} {SHA} a b.txt"), git.Standing(SHA, "main", dirty=True)),
        (
            status(f"u UU N... 100644 100644 100644 100644 {SHA} {SHA} {SHA} page.html"),
            git.Standing(SHA, "main", dirty=True, conflicted=True),
        ),
        # The name that a file had before is no record, whatever it looks like.
        (status("2 R. N... 1 1 1 a b R100 new", "u old"), git.Standing(SHA, "main", dirty=True)),
        (status(head="--upload-pack=x"), git.Standing(SHA, None)),
        (status(head="a..b"), git.Standing(SHA, None)),
        (status(head="a\x1b[31m"), git.Standing(SHA, None)),
        (status(head="feature/x-1"), git.Standing(SHA, "feature/x-1")),
    ],
)
def test_a_status_tells_how_a_working_copy_stands(output: bytes, wanted: git.Standing) -> None:
    assert git.standing(output) == wanted


@pytest.mark.parametrize("output", [b"", b"\0\0\0", b"? x\0", b"fatal: no"])
def test_what_is_no_status_is_refused(output: bytes) -> None:
    with pytest.raises(git.Unreadable):
        git.standing(output)


def test_a_log_is_read_record_by_record() -> None:
    records = (SHA, "A", "2026-01-02T03:04:05+00:00", "one"), (OTHER, "B\x1b[31m", "x", "two\nthree")
    output = "\0".join(field for record in records for field in record).encode() + b"\0"
    first, second = git.commits(output)
    assert first == git.Commit(SHA, "A", "2026-01-02T03:04:05+00:00", "one")
    assert (second.author, second.message) == ("B\ufffd[31m", "two")
    # Cut off, or no commit at all.
    assert git.commits(output[:-9]) == (first,)
    assert git.commits(b"x\0y\0z\0w\0") == ()


def test_conflicts_are_grouped_by_their_file() -> None:
    lines = (f"100644 {SHA} 1\ta b.txt", f"100644 {OTHER} 2\ta b.txt", f"100644 {SHA} 3\tonly-theirs", "x y z", "\t")
    output = "".join(f"{line}\0" for line in lines).encode()
    assert git.conflicts(output, 10) == (
        git.Conflict("a b.txt", base=SHA, ours=OTHER),
        git.Conflict("only-theirs", theirs=SHA),
    )
    assert [one.path for one in git.conflicts(output, 1)] == ["a b.txt"]
    assert git.conflicts(output[:60], 10) == (git.Conflict("a b.txt", base=SHA),)


def test_contents_are_read_by_their_length() -> None:
    content = f"{OTHER} blob 3\nxyz\n".encode()
    output = f"{SHA} blob {len(content)}\n".encode() + content + b"\n" + f"{OTHER} missing\n".encode()
    assert git.blobs(output) == {SHA: content}
    assert git.blobs(output[:60]) == {}
    assert git.sizes(f"{SHA} blob 7\n{OTHER} missing\n{OTHER} tree 9\n".encode()) == {SHA: 7}


@given(st.binary(max_size=300))
def test_no_bytes_break_a_reader(output: bytes) -> None:
    git.commits(output)
    git.conflicts(output, 5)
    git.sizes(output)
    git.blobs(output)
    git.paths(output, 5)
    git.said(output.decode("utf-8", "replace"))


@given(st.binary(max_size=300))
def test_no_status_breaks_its_reader(output: bytes) -> None:
    found = git.standing(b"# branch.oid " + SHA.encode() + b"\0" + output)
    assert found.branch is None or not found.branch.startswith("-")


def test_what_git_says_is_told_without_secrets_and_bounded() -> None:
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----"
    said = git.said(f"a\x1b[2Jb\n{key}\nhttps://me:secret@example.com/x\nprogress 1%\rprogress 2%\n")
    assert said == "a\ufffd[2Jb\n[private key]\nhttps://***@example.com/x\nprogress 2%"
    assert git.said("-----BEGIN RSA PRIVATE KEY-----\ncut off") == "[private key]"
    assert git.said("ssh://git@host:2222/a/b.git") == "ssh://git@host:2222/a/b.git"
    long = git.said("x" * 100_000 + "the reason")
    assert len(long) < 5000
    assert long.endswith("the reason")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, "Update from the workspace (userId=7, appId=shop)"),
        ("  ", "Update from the workspace (userId=7, appId=shop)"),
        ("Fix it", "Fix it (userId=7, appId=shop)"),
        ("Fix\r\n\nwhy\x00", "Fix\n\nwhy\ufffd (userId=7, appId=shop)"),
    ],
)
def test_a_commit_says_whose_it_is(text: str | None, wanted: str) -> None:
    assert git.commit_message(text, "7", "shop") == wanted


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("legacy-peer-deps=true\n", ""),
        ("registry=https://packages.example.com/\n", ""),
        ("registry = http://npm.inside.example:4873/\n", "internal registry"),
        ("@me:registry=http://172.21.138.103:4873\n", "internal registry"),
        ("registry=http://verdaccio:4873/\n", "internal registry"),
        ("registry=http://localhost:4873\n", "internal registry"),
        ("# registry=http://verdaccio:4873/\n", ""),
        ("//packages.example.com/:_authToken=abc\n", "password or token"),
        ("//packages.example.com/:_authToken=${NPM_TOKEN}\n", ""),
        ("_auth = abc\n", "password or token"),
    ],
)
def test_an_npmrc_of_the_inside_is_told_from_others(text: str, problem: str) -> None:
    found = git.npmrc_problem(text, "http://npm.inside.example:4873")
    assert (problem in found) if problem else not found


def test_a_line_of_an_exclude_file_means_one_file() -> None:
    assert git.ignored_line("web/.npmrc") == "/web/.npmrc\n"
    assert git.ignored_line("a b[*]/.npmrc") == "/a\\ b\\[\\*\\]/.npmrc\n"


def test_the_default_gitignore_leaves_out_what_is_made_anew() -> None:
    lines = git.GITIGNORE.splitlines()
    assert {"node_modules/", ".npm-cache/", ".venv/", ".env"} <= set(lines)
    assert ".npmrc" not in lines
