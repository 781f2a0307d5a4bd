"""Pure decisions: names, references, ignore rules, error texts."""

import time

import pytest

from daemons.runner.domain.failures import LOG_LINES, WorkFailed, explain, plain
from daemons.runner.domain.ignore import parse
from daemons.runner.domain.plan import RegistryPolicy, Source, attempt_of, plan
from protocol.errors import JobReason
from protocol.jobs import JobPhase
from tests.unit.runner.twins import COMMIT, claimed

URL = "ssh://git@git.example:2222/funai/u1-app20001.git"


@pytest.mark.parametrize("ref", ["-x", "--upload-pack=a", "a..b", "main;id", "$(id)", "x" * 300, "a.lock", "", "@{-1}"])
def test_a_reference_that_git_could_misread_makes_no_source(ref: str) -> None:
    with pytest.raises(WorkFailed, match="gitRef") as refused:
        Source(URL, ref)
    assert refused.value.reason is JobReason.INVALID_PAYLOAD


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch /tmp/x;false",
        "ext::sh -c id",
        "file:///etc",
        "/etc",
        "ssh://-oProxyCommand=x/y",
        "git@-host:x",
        "http://169.254.169.254/",
        "https://user:pass@host/x.git",
        "ssh://git@host/a/../b.git",
    ],
)
def test_an_address_that_is_not_plain_ssh_makes_no_source(url: str) -> None:
    with pytest.raises(WorkFailed, match="repoSshUrl"):
        Source(url, "main")


@pytest.mark.parametrize(
    ("ref", "asked"),
    [
        ("main", ("refs/heads/main", "refs/tags/main")),
        (COMMIT, (COMMIT,)),
        (COMMIT[:7], (f"refs/heads/{COMMIT[:7]}", f"refs/tags/{COMMIT[:7]}")),
        ("refs/tags/v1", ("refs/tags/v1",)),
    ],
)
def test_references_are_asked_for_by_full_name(ref: str, asked: tuple[str, ...]) -> None:
    assert Source(URL, ref).full_refs() == asked


def test_the_payloads_registry_wins_over_the_runners() -> None:
    made = plan(claimed(acrRegistry="other:5000", acrNamespace="team"), RegistryPolicy("mine:5000", "funaistudio"))
    assert made.build is not None
    assert made.build.names(COMMIT, made.serial).all == (
        f"other:5000/team/u1-app20001:{COMMIT[:12]}-7",
        "other:5000/team/u1-app20001:latest",
    )
    assert made.steps == (JobPhase.CLONE, JobPhase.BUILD, JobPhase.PUSH, JobPhase.DEPLOY)


def test_defaults_of_a_bare_payload() -> None:
    bare = claimed(basePath=None, containerPort=None, gitRef=None)
    made = plan(bare, RegistryPolicy("", "funaistudio"))
    assert (made.base_path, made.container_port) == ("/runtime/20001", 3000)
    assert made.build is not None
    assert made.build.source.ref == "main"
    assert made.steps == (JobPhase.CLONE, JobPhase.BUILD, JobPhase.DEPLOY)


def test_without_a_fence_the_tag_is_still_the_attempts_own() -> None:
    job = claimed().model_copy(update={"fence": None, "attempt": 2})
    assert plan(job, RegistryPolicy("", "n")).serial == "6f1c1a52-2"


@pytest.mark.parametrize("job_id", ["..", "a/b", "-a", "", "a" * 65, "a\n"])
def test_a_job_id_that_cannot_name_a_folder_is_refused(job_id: str) -> None:
    with pytest.raises(ValueError, match="id"):
        attempt_of(claimed(job_id), 30)


@pytest.mark.parametrize(
    ("lines", "path", "out"),
    [
        (["node_modules"], "node_modules/a/b.js", True),
        (["node_modules"], "src/node_modules/a.js", False),
        (["**/node_modules"], "src/node_modules/a.js", True),
        (["*.log"], "a.log", True),
        (["*.log"], "src/a.log", False),
        (["**/*.log"], "src/deep/a.log", True),
        (["*", "!src"], "src/a.js", False),
        (["*", "!src"], "other/a.js", True),
        (["docs/**", "!docs/README.md"], "docs/README.md", False),
        (["# comment", "", "/dist/"], "dist/x", True),
        (["a?c"], "abc", True),
        (["[ab].txt"], "b.txt", True),
        (["[^a].txt"], "b.txt", True),
        (["../x"], "x", False),
        (["*.min.*"], "a.min.js", True),
        (["a[b"], "a[b", True),
        ([r"\[a\]"], "[a]", True),
        ([r"a\*"], "a*", True),
        ([r"a\*"], "ab", False),
        (["[!a]"], "a", True),
        (["[!a]"], "b", False),
        (["a/**"], "a", False),
        (["a/**"], "a/b/c", True),
        (["**"], "a", True),
        (["a/../b"], "b", True),
        (["a/../../b"], "b", False),
        (["[a-]x", "[z-a]", "[--a]"], "ax", True),
    ],
)
def test_dockerignore_follows_its_documented_rules(lines: list[str], path: str, out: bool) -> None:
    assert parse(lines).excludes(path) is out


def test_a_hostile_pattern_takes_no_time() -> None:
    started = time.process_time()
    ignore = parse(["*a" * 200 + "b", "/".join(["**", "a"] * 100)])
    assert not ignore.excludes("a" * 255 + "c")
    assert not ignore.excludes("/".join(["a"] * 60) + "/c")
    assert time.process_time() - started < 5


def test_a_message_is_bounded_and_plain() -> None:
    failure = WorkFailed(JobReason.BUILD_FAILED, "x" * 50_000 + "\x07", exit_code=1)
    text = explain(failure, [f"{number} " + "y" * 5_000 for number in range(100)])
    assert len(text) <= 8_000
    assert "\x07" not in text
    assert "99 yyy" in text
    assert text.count("\n") <= LOG_LINES + 3


def test_escape_sequences_leave_no_trace() -> None:
    assert plain("\x1b[1;31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07\r\n") == "red link\n"
