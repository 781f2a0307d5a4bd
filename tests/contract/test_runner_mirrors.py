"""Mirrors of repositories, and repositories that are made to do harm: the real `git` against the platform's server."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemons.runner.adapters.git import GitPolicy, GitRepository
from daemons.runner.adapters.git_process import GitKeys
from daemons.runner.adapters.mirrors import Mirrors
from daemons.runner.domain.failures import WorkFailed
from daemons.runner.domain.plan import Source
from daemons.runner.domain.tree import TreeLimits
from tests.support.git_host import GitHost, git_host

pytestmark = pytest.mark.real

REPOSITORY = "funai/u1-app20001"
_LINE = "a line that no compression makes small: {}\n"


class Lines:
    """A log in memory."""

    def __init__(self) -> None:
        self.text = ""

    async def write(self, text: str) -> None:
        self.text += text


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    """A git server with one repository of about 400 KiB."""
    with git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as made:
        made.commit({"Dockerfile": "FROM scratch\n", "data": os.urandom(200_000).hex(), "src/app.js": "1\n"})
        made.push("HEAD:refs/heads/main", "HEAD:refs/heads/other")
        yield made


class Desk:
    """One runner's git, its folder and its log."""

    def __init__(self, host: GitHost, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.log = Lines()
        self.policy = GitPolicy(patience_seconds=0.2)
        self.keys = GitKeys(host.bot_key, host.known_hosts)
        self._attempts = 0

    async def checkout(self, ref: str = "main", *, submodules: bool = False) -> tuple[str, Path]:
        """The commit and the tree's folder of a new attempt."""
        self._attempts += 1
        folder = self.folder / f"attempt-{self._attempts}"
        folder.mkdir()
        git = GitRepository(self.keys, self.folder / "mirrors", self.policy)
        found = await git.checkout(Source(self.host.url(), ref, submodules), folder, self.log)
        return found.commit, folder / "source"

    @property
    def mirror(self) -> Path:
        """The one mirror there is."""
        (found,) = (self.folder / "mirrors").glob("*/mirror.git")
        return found

    def size(self) -> int:
        """Of the mirror, in bytes."""
        return sum(path.stat().st_size for path in self.mirror.rglob("*") if path.is_file())


@pytest.fixture
def desk(host: GitHost, tmp_path: Path) -> Desk:
    return Desk(host, tmp_path)


async def test_a_small_change_is_a_small_transfer(desk: Desk) -> None:
    await desk.checkout()
    cold = desk.size()
    commit = desk.host.commit({"src/app.js": "2\n"})
    desk.host.push("HEAD:refs/heads/main")
    found, tree = await desk.checkout()
    assert (found, (tree / "src/app.js").read_text()) == (commit, "2\n")
    assert desk.size() - cold < cold / 20


async def test_a_rewritten_branch_is_followed(desk: Desk) -> None:
    await desk.checkout("other")
    commit = desk.host.git("commit-tree", "HEAD^{tree}", "-m", "history that was rewritten")
    desk.host.push(f"{commit}:refs/heads/other")
    assert (await desk.checkout("other"))[0] == commit


def _truncate(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        os.truncate(pack, pack.stat().st_size // 2)


def _lose_packs(mirror: Path) -> None:
    for path in mirror.glob("objects/pack/*"):
        path.unlink()


def _zero_refs(mirror: Path) -> None:
    for path in (mirror / "refs").rglob("*"):
        if path.is_file():
            path.write_bytes(b"\0" * 41)


def _spoil_config(mirror: Path) -> None:
    (mirror / "config").write_text("[core\n")


def _spoil_shallow(mirror: Path) -> None:
    (mirror / "shallow").write_text("nonsense\n")


def _no_folder(mirror: Path) -> None:
    """It cannot even be made anew."""
    shutil.rmtree(mirror)
    mirror.write_bytes(b"")


@pytest.mark.parametrize(
    "spoil",
    [_truncate, _lose_packs, _zero_refs, _spoil_config, _spoil_shallow, _no_folder],
    ids=lambda each: each.__name__,
)
async def test_a_broken_mirror_is_made_anew_or_done_without(desk: Desk, spoil: Callable[[Path], None]) -> None:
    commit, _ = await desk.checkout()
    spoil(desk.mirror)
    again, tree = await desk.checkout()
    assert again == commit
    assert (tree / "Dockerfile").read_text() == "FROM scratch\n"
    assert len((tree / "data").read_text()) == 400_000


async def test_what_a_killed_git_left_is_cleared(desk: Desk) -> None:
    commit, _ = await desk.checkout()
    left = [desk.mirror / name for name in ("shallow.lock", "config.lock", "objects/pack/tmp_pack_x1")]
    for path in left:
        path.write_bytes(b"half")
    assert (await desk.checkout())[0] == commit
    assert not any(path.exists() for path in left)
    assert "fetched anew" not in desk.log.text


async def test_jobs_of_one_repository_at_once_share_its_mirror(desk: Desk) -> None:
    desk.policy = GitPolicy(patience_seconds=60)
    desk.host.commit({"src/apart.js": "1\n"})
    desk.host.push("HEAD:refs/heads/main")
    found = await asyncio.gather(*(desk.checkout(ref) for ref in ("main", "other", "main", "other")))
    assert found[0][0] == found[2][0]
    assert found[1][0] == found[3][0] != found[0][0]
    assert desk.mirror.is_dir()


async def test_a_mirror_that_somebody_keeps_is_done_without(desk: Desk) -> None:
    """For example a git process of a killed runner, which inherited the lock."""
    commit, _ = await desk.checkout()
    before = desk.size()
    async with Mirrors(desk.folder / "mirrors", 1).held(desk.host.url(), 0):
        assert (await desk.checkout())[0] == commit
    assert desk.size() == before


async def test_the_oldest_mirrors_go_first_and_those_in_use_stay(tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path, 1_500)
    urls = [f"ssh://git@host/o/r{number}.git" for number in range(5)]
    places: list[Path] = []
    for age, url in enumerate(reversed(urls)):
        async with mirrors.held(url, 1) as mirror:
            (mirror.path / "content").write_bytes(b"x" * 1000)
        places.insert(0, mirror.path.parent)
        os.utime(mirror.path.parent, (1_000_000 + age, 1_000_000 + age))
    # The oldest is the last of them.
    async with mirrors.held(urls[4], 1):
        await mirrors.tidy()
        assert [place.exists() for place in places] == [True, False, False, False, True]


async def test_no_mirror_is_kept_where_none_is_wanted(desk: Desk) -> None:
    desk.policy = GitPolicy(mirror_bytes=0)
    await desk.checkout()
    assert not (desk.folder / "mirrors").exists()


async def test_a_repository_with_a_key_of_its_own_is_read_with_it(desk: Desk) -> None:
    place = desk.folder / "keys" / f"127.0.0.1_{desk.host.port}" / "funai"
    place.mkdir(parents=True)
    desk.keys = GitKeys(desk.host.folder / "stranger", desk.host.known_hosts, desk.folder / "keys")
    with pytest.raises(WorkFailed, match="RUNNER_GIT_KEYS"):
        await desk.checkout()
    own = place / "u1-app20001"
    own.write_bytes(desk.host.bot_key.read_bytes())
    own.chmod(0o600)
    assert (await desk.checkout())[0]


class Crafted:
    """Objects that no honest git would make, put straight into the server's repository."""

    def __init__(self, host: GitHost) -> None:
        self._repository = host.folder / "repositories" / f"{REPOSITORY}.git"

    def blob(self, content: bytes) -> str:
        return self._git("hash-object", "-w", "--stdin", given=content)

    def tree(self, *entries: tuple[str, str, bytes]) -> str:
        """Of (mode, object, name), in this order, whatever it is."""
        content = b"".join(
            f"{mode} ".encode() + name + b"\0" + bytes.fromhex(object_id) for mode, object_id, name in entries
        )
        return self._git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", given=content)

    def branch(self, name: str, tree: str) -> str:
        identity = {
            f"GIT_{who}_{what}": "x@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        commit = self._git("commit-tree", tree, "-m", "crafted", env=identity)
        self._git("update-ref", f"refs/heads/{name}", commit)
        return commit

    def _git(self, *argv: str, given: bytes = b"", env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", f"--git-dir={self._repository}", *argv],
            input=given,
            capture_output=True,
            check=True,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})},
        )
        return done.stdout.decode().strip()


@pytest.fixture
def crafted(host: GitHost) -> Crafted:
    return Crafted(host)


async def test_links_that_lead_out_are_written_as_links_and_never_followed(desk: Desk, crafted: Crafted) -> None:
    outside = desk.folder / "outside"
    outside.mkdir()
    links = {"absolute": str(outside), "passwd": "/etc/passwd", "up": "../../outside"}
    entries = [("120000", crafted.blob(target.encode()), name.encode()) for name, target in sorted(links.items())]
    crafted.branch("links", crafted.tree(*entries))
    _, tree = await desk.checkout("links")
    assert {path.name: str(path.readlink()) for path in tree.iterdir()} == links
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("name", [b".git", b".GIT", b"..", b".", b"git~1", "\u200c.git".encode()])
async def test_names_that_could_reach_out_are_refused(desk: Desk, crafted: Crafted, name: bytes) -> None:
    inner = crafted.tree(("100644", crafted.blob(b"[core]\n\tsshCommand = touch /tmp/pwned\n"), b"config"))
    crafted.branch("names", crafted.tree(("40000", inner, name)))
    with pytest.raises(WorkFailed):
        await desk.checkout("names")
    assert not list((desk.folder / "attempt-1" / "source").iterdir())


async def test_nothing_is_written_through_a_link_of_the_same_name(desk: Desk, crafted: Crafted) -> None:
    outside = desk.folder / "outside"
    outside.mkdir()
    link = crafted.blob(str(outside).encode())
    inner = crafted.tree(("100644", crafted.blob(b"written"), b"file"))
    crafted.branch("twice", crafted.tree(("120000", link, b"a"), ("40000", inner, b"a")))
    with pytest.raises(WorkFailed):
        await desk.checkout("twice")
    assert list(outside.iterdir()) == []


async def test_a_tree_that_unfolds_into_millions_of_files_is_never_written(desk: Desk, crafted: Crafted) -> None:
    node = crafted.tree(*(("100644", crafted.blob(b"x" * 100), f"f{leaf}".encode()) for leaf in range(10)))
    for _ in range(8):
        node = crafted.tree(*(("40000", node, f"d{branch}".encode()) for branch in range(10)))
    crafted.branch("bomb", node)
    with pytest.raises(WorkFailed, match="more than 200000 files"):
        await desk.checkout("bomb")
    desk.policy = GitPolicy(limits=TreeLimits(3 * 1024**2, 10**9))
    with pytest.raises(WorkFailed, match="larger than 3 MiB together"):
        await desk.checkout("bomb")
    assert not list((desk.folder / "attempt-2" / "source").iterdir())


async def test_a_transfer_is_cut_off_where_it_becomes_too_large(desk: Desk) -> None:
    desk.policy = GitPolicy(limits=TreeLimits(100_000, 1000))
    with pytest.raises(WorkFailed, match="RUNNER_GIT_MOST_MB"):
        await desk.checkout()
    assert all(path.stat().st_size <= 100_000 for path in desk.mirror.rglob("*"))


def _modules(crafted: Crafted, *urls: str, commit: str = "1" * 40) -> list[tuple[str, str, bytes]]:
    """A tree's entries with as many submodules, each at that commit."""
    text = "".join(f'[submodule "m{n}"]\n\tpath = m{n}\n\turl = {url}\n' for n, url in enumerate(urls))
    entries = [("160000", commit, f"m{n}".encode()) for n in range(len(urls))]
    return [("100644", crafted.blob(text.encode()), b".gitmodules"), *sorted(entries, key=lambda entry: entry[2])]


async def test_submodules_are_left_empty(desk: Desk, crafted: Crafted) -> None:
    crafted.branch("modules", crafted.tree(*_modules(crafted, "ssh://git@elsewhere.example/x/y.git")))
    _, tree = await desk.checkout("modules")
    assert list((tree / "m0").iterdir()) == []
    assert "gitSubmodules" in desk.log.text


async def test_wanted_submodules_are_fetched_as_sources_are(desk: Desk, crafted: Crafted) -> None:
    commit = crafted.branch("library", crafted.tree(("100644", crafted.blob(b"of the library"), b"code")))
    inner = crafted.branch("middle", crafted.tree(*_modules(crafted, desk.host.url(), commit=commit)))
    crafted.branch("outer", crafted.tree(*_modules(crafted, "../u1-app20001.git", commit=inner)))
    _, tree = await desk.checkout("outer", submodules=True)
    assert (tree / "m0" / "m0" / "code").read_text() == "of the library"
    assert not (tree / "m0" / ".git").exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ssh://git@elsewhere.example/x/y.git", "GIT_KNOWN_HOSTS_PATH"),
        ("file:///etc", "not ssh://"),
        ("/etc", "not ssh://"),
        ("ext::sh -c id", "not ssh://"),
        ("--upload-pack=id", "gitmodulesUrl"),
        ("../../../../../etc", "could not be fetched"),
        ("../other.git", "no access"),
    ],
)
async def test_a_submodule_from_where_nothing_may_come_fails_the_job(
    desk: Desk, crafted: Crafted, url: str, says: str
) -> None:
    crafted.branch("modules", crafted.tree(*_modules(crafted, url)))
    with pytest.raises(WorkFailed) as failed:
        await desk.checkout("modules", submodules=True)
    assert says in f"{failed.value.text}\n{desk.log.text}"


async def test_submodules_that_lead_round_in_circles_or_are_too_many_end(desk: Desk, crafted: Crafted) -> None:
    leaf = crafted.branch("leaf", crafted.tree(("100644", crafted.blob(b"x"), b"x")))
    crafted.branch("many", crafted.tree(*_modules(crafted, *[desk.host.url()] * 9 + ["../u1-app20001.git"] * 12)))
    with pytest.raises(WorkFailed, match="gitSubmodules"):
        await desk.checkout("many", submodules=True)
    node = leaf
    for level in range(4):
        node = crafted.branch(f"deep{level}", crafted.tree(*_modules(crafted, desk.host.url(), commit=node)))
    with pytest.raises(WorkFailed, match="nests them deeper than 3 levels"):
        await desk.checkout("deep3", submodules=True)
