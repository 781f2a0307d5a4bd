"""What the runner refuses before git is started, whatever a control plane lets through."""

import base64
import hashlib
import hmac
from pathlib import Path

import pytest

from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.git_hosts import is_known
from daemons.runner.domain.plan import Source
from daemons.runner.domain.tree import Census, NotAListing, TreeLimits
from protocol.errors import JobReason
from tests.support.bad_git import GOOD_REF, GOOD_URL, bad_texts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"


def test_every_bad_address_and_reference_is_a_failure_that_names_its_field() -> None:
    for field, text in bad_texts():
        with pytest.raises(WorkFailed, match=f"^{field} ") as failed:
            Source(text, GOOD_REF) if field == "repoSshUrl" else Source(GOOD_URL, text)
        assert failed.value.reason is JobReason.INVALID_PAYLOAD
        assert len(failed.value.text) < 300


@pytest.mark.parametrize("ref", ["main", "feature/a-b.c", "v1.2.3", "a" * 40, "refs/tags/v1", "HEAD", "release_1"])
def test_ordinary_references_are_taken(ref: str) -> None:
    assert Source(GOOD_URL, ref).full_refs()


def hashed(name: str) -> str:
    """A name as `ssh-keygen -H` writes it."""
    salt = b"01234567890123456789"
    digest = hmac.digest(salt, name.encode(), hashlib.sha1)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (f"git.example {KEY}", True),
        (f"other.example,git.example,10.0.0.1 {KEY}", True),
        (f"*.example {KEY}", True),
        (f"*.example,!git.example {KEY}", False),
        (f"@cert-authority *.example {KEY}", True),
        (f"@revoked git.example {KEY}", False),
        (f"{hashed('git.example')} {KEY}", True),
        (f"{hashed('evil.example')} {KEY}", False),
        (f"[git.example]:2222 {KEY}", False),
        (f"git.example.evil {KEY}", False),
        (f"xgit.example {KEY}", False),
        (f"# git.example {KEY}", False),
        ("|1|not base64|either " + KEY, False),
        ("|1|", False),
        ("", False),
    ],
)
def test_a_host_is_known_as_ssh_knows_it(line: str, known: bool) -> None:
    assert is_known("git.example", 22, f"unrelated.host {KEY}\n{line}\n") is known


def test_another_port_is_another_host() -> None:
    for line in (f"[git.example]:2222 {KEY}", f"{hashed('[git.example]:2222')} {KEY}"):
        assert is_known("git.example", 2222, line)
        assert not is_known("git.example", 22, line)
        assert not is_known("git.example", 2223, line)
    assert not is_known("git.example", 2222, f"git.example {KEY}")


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@127.0.0.1:7002/a/b.git",
        "ssh://git@169.254.169.254/a/b.git",
        "ssh://git@git.example.evil:2222/a/b.git",
        "ssh://git@localhost:2222/a/b.git",
    ],
)
@pytest.mark.parametrize("hosts", [(), ("git.example:2222",)])
async def test_a_host_that_is_not_listed_is_refused_before_git_runs(
    tmp_path: Path, url: str, hosts: tuple[str, ...]
) -> None:
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"[git.example]:2222 {KEY}\n")
    repository = GitRepository(
        GitKeys(tmp_path / "key", known_hosts), tmp_path / "mirrors", GitPolicy(hosts=hosts), path="/nowhere"
    )
    folder = tmp_path / "attempt"
    with pytest.raises(WorkFailed, match=r"^repoSshUrl: ") as failed:
        await repository.checkout(Source(url, "main"), folder, Silence())
    assert failed.value.reason is JobReason.INVALID_PAYLOAD
    assert not folder.exists() and not (tmp_path / "mirrors").exists()


class Silence:
    """A log that nobody reads."""

    async def write(self, text: str) -> None:
        raise AssertionError(text)


def test_a_key_of_its_own_is_found_by_host_port_and_path_and_never_through_a_link(tmp_path: Path) -> None:
    keys = GitKeys(tmp_path / "bot", tmp_path / "known_hosts", tmp_path / "keys")
    source = Source(GOOD_URL, "main")
    assert keys.key_for(source) == tmp_path / "bot"
    own = tmp_path / "keys" / "git.example_2222" / "funai" / "u1-app20001"
    own.parent.mkdir(parents=True)
    own.symlink_to("/etc/passwd")
    assert keys.key_for(source) == tmp_path / "bot"
    own.unlink()
    own.write_text("a key")
    assert keys.key_for(source) == own
    assert keys.key_for(Source(GOOD_URL.replace("app20001", "app2"), "main")) == tmp_path / "bot"


def test_a_listing_is_judged_as_it_comes() -> None:
    census = Census(TreeLimits(most_bytes=1024**2, most_files=3))
    census.add(b"100644 blob " + b"1" * 40 + b"     512\ta\nb\t\xff")
    census.add(b"160000 commit " + b"2" * 40 + b"       -\tlib")
    assert (census.files, census.bytes) == (2, 512)
    assert [(each.path, each.commit) for each in census.submodules] == [("lib", "2" * 40)]
    with pytest.raises(WorkFailed, match="larger than 1 MiB"):
        census.add(b"100644 blob " + b"1" * 40 + b" 1048576\tbig")
    with pytest.raises(WorkFailed, match="more than 3 files"):
        census.add(b"100644 blob " + b"1" * 40 + b"       1\tone more")
    for nonsense in (b"", b"fatal: not a tree object", b"100644 blob " + b"1" * 40 + b"       1 no tab"):
        with pytest.raises(NotAListing):
            census.add(nonsense)
