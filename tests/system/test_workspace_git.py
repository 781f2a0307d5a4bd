"""Git of workspaces, in real containers against the platform's own git server: what the user asks for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from protocol.client.transport import Refused
from protocol.client.workspace import WorkspaceClient
from protocol.workspace_git import CommitMessage, GitReport, GitResult, ResolveConflict, Side
from tests.support import git_image, workspace_git
from tests.support.git_host import GitHost
from tests.support.workspace_git import APP, IMAGE, NPM_REGISTRY, World

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]


@pytest.fixture
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, GitHost]]:
    with workspace_git.hosted(tmp_path_factory.mktemp("git")) as found:
        yield found


@pytest.fixture
async def world(docker_url: str, tmp_path: Path, hosted: tuple[str, GitHost]) -> AsyncIterator[World]:
    await asyncio.to_thread(git_image.build, docker_url, IMAGE)
    async with workspace_git.world(docker_url, tmp_path, hosted) as found:
        yield found


@pytest.fixture
async def client(world: World) -> AsyncIterator[WorkspaceClient]:
    async with world.node.client(world.user) as found:
        yield found


async def _commit(client: WorkspaceClient, message: str | None = None) -> GitReport:
    return await client.git(APP, "commit-push", CommitMessage(message=message))


async def _cloned(client: WorkspaceClient) -> None:
    cloned = await client.git(APP, "ensure")
    assert (cloned.result, cloned.branch) == (GitResult.CLONED, "main"), cloned.message


async def test_a_repository_is_cloned_changed_pushed_and_followed(world: World, client: WorkspaceClient) -> None:
    assert not (await client.git_status(APP)).git_repo
    await _cloned(client)
    assert await asyncio.to_thread(world.read, "README.md") == "first\n"
    assert (await client.git(APP, "ensure")).result is GitResult.ALREADY_UP_TO_DATE
    status = await client.git_status(APP)
    assert (status.git_repo, status.dirty, status.branch, status.remote_url) == (True, False, "main", world.url)

    await asyncio.to_thread(world.write, "new.txt", "of the user")
    assert (await client.git_status(APP)).dirty
    assert (await client.git(APP, "ensure")).result is GitResult.NEED_COMMIT
    assert (await _commit(client, "Add a text")).result is GitResult.SUCCESS
    assert await asyncio.to_thread(world.pushed, "new.txt") == "of the user"
    assert "node_modules/" in await asyncio.to_thread(world.pushed, ".gitignore")
    subject = f"Add a text (userId={world.user}, appId={APP})"
    said = await asyncio.to_thread(world.bare, "log", "-1", "--format=%an <%ae> %cn %s", "main")
    assert said == f"workspace-bot <workspace-bot@funai.local> workspace-bot {subject}"
    assert (await _commit(client)).result is GitResult.NO_CHANGES

    await asyncio.to_thread(world.elsewhere, other__txt="of somebody else")
    assert (await client.git(APP, "ensure")).result is GitResult.PULLED
    assert await asyncio.to_thread(world.read, "other.txt") == "of somebody else"
    log = await client.git_log(APP, 2)
    assert [one.message for one in log.commits] == ["a change", subject]
    assert await asyncio.to_thread(world.keys) == []
    assert await asyncio.to_thread(world.programs) == []
    config = await asyncio.to_thread(world.read, ".git/config")
    assert "PRIVATE" not in config
    assert "funai-git" not in config


async def test_both_sides_of_a_conflict_are_shown_and_either_settles_it(world: World, client: WorkspaceClient) -> None:
    await _cloned(client)
    await asyncio.to_thread(world.elsewhere, page__html="one\nTHEIRS\nthree\n", README__md="theirs\n", c__txt="t")
    await asyncio.to_thread(world.write, "page.html", "one\nOURS\nthree\n")
    await asyncio.to_thread(world.write, "README.md", "ours\n")
    await asyncio.to_thread(world.write, "c.txt", "o")
    refused = await _commit(client)
    assert refused.result is GitResult.PUSH_FAILED
    assert "POST pull" in refused.message
    assert (await client.git(APP, "ensure")).result is GitResult.FAILED
    pulled = await client.git(APP, "pull")
    assert (pulled.result, pulled.conflicts) == (GitResult.CONFLICT, ("README.md", "c.txt", "page.html"))
    assert (await client.git_status(APP)).conflicted
    assert (await _commit(client)).result is GitResult.CONFLICT

    shown = await client.git_conflicts(APP)
    page = next(one for one in shown.files if one.path == "page.html")
    assert (page.ours.content, page.theirs.content) == ("one\nOURS\nthree\n", "one\nTHEIRS\nthree\n")
    assert page.base.content == "one\ntwo\nthree\n"
    added = next(one for one in shown.files if one.path == "c.txt")
    assert (shown.merging, added.base.present) == (True, False)

    assert (await client.git(APP, "merge/continue")).result is GitResult.CONFLICT
    await client.git(APP, "resolve", ResolveConflict(path="page.html", use=Side.CONTENT, content="one\nBOTH\n"))
    await client.git(APP, "resolve", ResolveConflict(path="c.txt", use=Side.OURS))
    last = await client.git(APP, "resolve", ResolveConflict(path="README.md", use=Side.THEIRS))
    assert (last.result, last.conflicts) == (GitResult.SUCCESS, ())
    with pytest.raises(Refused, match="has no conflict") as refusal:
        await client.git(APP, "resolve", ResolveConflict(path="README.md", use=Side.OURS))
    assert refusal.value.status == 409
    assert (await client.git(APP, "merge/continue")).result is GitResult.SUCCESS
    assert (await _commit(client)).result is GitResult.SUCCESS
    names = ("page.html", "c.txt", "README.md")
    assert [await asyncio.to_thread(world.pushed, name) for name in names] == ["one\nBOTH", "o", "theirs"]
    assert len((await asyncio.to_thread(world.bare, "log", "-1", "--format=%p", "main")).split()) == 2


async def test_a_merge_can_be_given_up(world: World, client: WorkspaceClient) -> None:
    await _cloned(client)
    await asyncio.to_thread(world.elsewhere, page__html="theirs\n")
    await asyncio.to_thread(world.inside, f"cd apps/{APP} && git rm -q page.html")
    await _commit(client)
    pulled = await client.git(APP, "pull")
    assert pulled.conflicts == ("page.html",)
    shown = (await client.git_conflicts(APP)).files[0]
    assert (shown.ours.present, shown.theirs.content) == (False, "theirs\n")
    assert (await client.git(APP, "merge/abort")).result is GitResult.SUCCESS
    assert not (await client.git_status(APP)).dirty
    with pytest.raises(Refused, match="no merge goes on"):
        await client.git(APP, "merge/abort")
    await client.git(APP, "pull")
    # Ours removed it: our side settles it by removing it.
    await client.git(APP, "resolve", ResolveConflict(path="page.html", use=Side.OURS))
    assert (await _commit(client, "No page")).result is GitResult.SUCCESS
    assert "page.html" not in (await asyncio.to_thread(world.bare, "ls-tree", "--name-only", "main")).split()


async def test_a_reset_loses_nothing(world: World, client: WorkspaceClient) -> None:
    await _cloned(client)
    first = (await client.git_log(APP)).commits[0].sha
    await asyncio.to_thread(world.write, "later.txt", "later")
    await _commit(client)
    theirs = await asyncio.to_thread(world.elsewhere, theirs__txt="pushed meanwhile")
    await asyncio.to_thread(world.write, "README.md", "not committed\n")
    await asyncio.to_thread(world.write, "untracked.txt", "not committed either")
    await asyncio.to_thread(world.write, "node_modules/kept.js", "ignored")
    await asyncio.to_thread(world.write, ".env", "SECRET=1")

    refused = await client.git(APP, "reset", commitSha=first)
    assert refused.result is GitResult.NEED_COMMIT
    assert await asyncio.to_thread(world.read, "later.txt") == "later"
    done = await client.git(APP, "reset", commitSha=first, force=True)
    assert (done.result, done.target_commit, done.commit_short) == (GitResult.SUCCESS, first, first[:7])
    assert await asyncio.to_thread(world.bare, "rev-parse", "main") == first
    files = await asyncio.to_thread(world.inside, f"cd apps/{APP} && find . -type f | grep -v '^./.git/' | sort")
    assert files.split() == ["./.env", "./README.md", "./node_modules/kept.js", "./page.html"]
    assert not (await client.git_status(APP)).dirty
    here, remote = done.safety_refs
    for name, text in (("README.md", "not committed\n"), ("untracked.txt", "not committed either")):
        assert await asyncio.to_thread(world.inside, f"cd apps/{APP} && git show {here}:{name}") == text
    assert (await asyncio.to_thread(world.inside, f"cd apps/{APP} && git rev-parse {remote}")).strip() == theirs
    for wrong in ("--hard", "HEAD", "-1234567", "0" * 6, "A" * 40, f"{first}^"):
        with pytest.raises(Refused, match="commitSha") as refusal:
            await client.git(APP, "reset", commitSha=wrong)
        assert refusal.value.status == 400
    assert (await client.git(APP, "reset", commitSha="0" * 40)).result is GitResult.FAILED


@pytest.mark.parametrize("confirm", ["adopt", "replace"])
async def test_files_that_were_there_first_have_a_way(world: World, client: WorkspaceClient, confirm: str) -> None:
    await client.ensure()
    await asyncio.to_thread(world.write, "README.md", "of the user\n")
    await asyncio.to_thread(world.write, "own.txt", "own")
    assert (await client.git(APP, "ensure")).result is GitResult.NEED_CONFIRM
    done = await client.git(APP, "ensure", confirm=confirm)
    adopted = confirm == "adopt"
    assert done.result is (GitResult.NEED_COMMIT if adopted else GitResult.CLONED), done.message
    assert await asyncio.to_thread(world.read, "README.md") == ("of the user\n" if adopted else "first\n")
    assert await asyncio.to_thread(world.read, "page.html") == "one\ntwo\nthree\n"
    if adopted:
        assert (await _commit(client)).result is GitResult.SUCCESS
        assert await asyncio.to_thread(world.pushed, "README.md") == "of the user"
    else:
        assert await asyncio.to_thread(world.inside, f"cat apps/{APP}.replaced-*/README.md") == "of the user\n"
    assert await asyncio.to_thread(world.inside, "ls run | grep clone || true") == ""


async def test_an_npmrc_of_the_inside_stays_inside(world: World, client: WorkspaceClient) -> None:
    await _cloned(client)
    await asyncio.to_thread(world.write, ".gitignore", "# the user's own\n")
    await asyncio.to_thread(world.write, ".npmrc", f"registry={NPM_REGISTRY}/\n")
    await asyncio.to_thread(world.write, "web/.npmrc", "legacy-peer-deps=true\n")
    await asyncio.to_thread(world.write, "tool/.npmrc", "//registry.npmjs.org/:_authToken=secret-token\n")
    done = await _commit(client)
    assert done.result is GitResult.SUCCESS
    assert ".npmrc stays in the workspace: it names the internal registry" in done.message
    assert "tool/.npmrc stays in the workspace: it holds a password" in done.message
    assert "secret-token" not in done.message
    kept = await asyncio.to_thread(world.bare, "ls-tree", "-r", "--name-only", "main")
    assert [name for name in kept.split() if name.endswith(".npmrc")] == ["web/.npmrc"]
    assert await asyncio.to_thread(world.pushed, ".gitignore") == "# the user's own"
    # It is no change that waits either: what others push still comes in.
    assert not (await client.git_status(APP)).dirty
    assert (await _commit(client)).result is GitResult.NO_CHANGES
