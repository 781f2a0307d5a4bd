"""Repositories made to do harm: each fails its job with words that tell what is wrong, or is harmless as it is taken;
nothing outside the work folder is read or written on the way."""

import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import touched
from tests.support.crafted import CORE, TREES, Crafted
from tests.support.git_host import GitHost, git_host
from tests.support.touched import Touched

pytestmark = pytest.mark.real

REPOSITORY = "funai/u1-app20001"
_ROOT = Path(__file__).resolve().parents[2]
#: Programs and what they are made of, and what the machine tells everybody.
_READ = (
    "/usr/", "/lib", "/bin/", "/proc/sys/", "/sys/", "/dev/null", "/dev/urandom", "/dev/tty",
    "/etc/ld.so", "/etc/passwd", "/etc/nsswitch.conf", "/etc/group", "/etc/ssl/", "/etc/gai.conf", "/etc/host",
    "/etc/resolv.conf", "/etc/localtime", "/etc/locale", "/etc/mime.types", "/etc/ssh/",
    "/etc/services", "/etc/protocols",
)  # fmt: skip
_WRITTEN = ("/dev/null", "/dev/tty")
#: What programs ask of themselves; never their environment.
_OF_ITSELF = re.compile(r"/proc/(?:[0-9]+/(?:status|stat|cgroup|maps|mounts|fd|limits)|filesystems|meminfo|stat)")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    """A git server with every crafted tree on a branch of its own; what must not be touched is beside it."""
    with git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as made:
        made.commit({"a": ""})
        made.push("HEAD:refs/heads/main")
        (made.folder / "outside").mkdir()
        (made.folder / "outside" / "canary").write_text("canary")
        crafted = Crafted(made.folder / "repositories" / f"{REPOSITORY}.git")
        for name, (make, _) in TREES.items():
            crafted.branch(name, make(crafted, f"{made.folder}/outside/canary"))
        yield made


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_crafted_tree_fails_by_name_or_is_harmless_and_nothing_outside_is_touched(
    host: GitHost, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    refs = list(TREES) if request.config.getoption("--all-trees") else list(CORE)
    folder = tmp_path / "runner"
    (folder / "work").mkdir(parents=True)
    job = {"key": str(host.bot_key), "knownHosts": str(host.known_hosts), "url": host.url(), "refs": refs}
    (folder / "job.json").write_text(json.dumps(job))
    before = _state(host.folder / "outside")
    argv = [sys.executable, "-m", "tests.support.hostile_checkout", str(folder)]
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(folder / "work")}
    found = touched.run(argv, tmp_path / "trace", environment, _ROOT)
    assert _wrong(json.loads((folder / "work" / "said.json").read_text()), refs) == {}
    assert _state(host.folder / "outside") == before
    assert [each for each in found if not _allowed(each, folder, host)] == []
    # The watch sees what it should: the sources and the mirrors were written.
    assert any(each.written and "/.mirrors/" in each.path for each in found)
    assert any(each.written and "/source/" in each.path for each in found)


def _wrong(said: dict[str, str | None], refs: list[str]) -> dict[str, str | None]:
    """Trees that ended other than they should have."""
    return {
        name: said.get(name, "nothing was said")
        for name, words in ((ref, TREES[ref][1]) for ref in refs)
        if name not in said or (said[name] is None) != (words is None) or (words or "") not in (said[name] or "")
    }


def _allowed(each: Touched, folder: Path, host: GitHost) -> bool:
    path = each.path
    if path.startswith(f"{folder}/work"):
        return True
    if each.written:
        return path in _WRITTEN
    ours = (str(folder / "job.json"), str(host.bot_key), f"{host.bot_key}.pub", str(host.known_hosts))
    programs = (str(_ROOT), sys.prefix, sys.base_prefix, *_READ)
    return path in (*ours, "/", "/proc", "/etc") or path.startswith(programs) or bool(_OF_ITSELF.fullmatch(path))


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and moment of the last change of every file."""
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}
