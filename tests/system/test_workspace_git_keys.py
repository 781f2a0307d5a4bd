"""Keys that are lent to workspaces, and git that hangs, is missing, or lies: in real containers, with real servers."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from daemons.kit.clock import SystemClock
from daemons.workspace.adapters.repository_keys import FolderKeys, GitServer
from protocol.client.signed import signed_headers
from protocol.client.transport import Refused
from protocol.client.workspace import WorkspaceClient
from protocol.signing import EMPTY_DIGEST
from protocol.workspace_git import CommitMessage, GitReport, GitResult
from protocol.workspace_upkeep import AppCleared
from tests.support import git_image, workspace_git
from tests.support.eventually import eventually
from tests.support.git_host import GitHost
from tests.support.workspace_git import APP, IMAGE, World
from tests.support.workspace_node import SECRET

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


class _Ahead(SystemClock):
    """A clock that is ahead."""

    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


def _keys(host: GitHost, clock: SystemClock) -> FolderKeys:
    server = GitServer("git", "127.0.0.1", host.port, "funai", "u{userId}-app{appId}")
    return FolderKeys(server, host.loans, host.known_hosts, clock)


async def test_a_lent_key_opens_one_repository_until_it_is_taken_back(hosted: tuple[str, GitHost]) -> None:
    user, host = hosted
    keys = _keys(host, SystemClock())
    other = "funai/u999-appother"
    async with keys.lent(user, APP, 60) as loan:
        assert (await asyncio.to_thread(host.by_key, loan.private_key, "ls-remote", host.url())).returncode == 0
        refused = await asyncio.to_thread(host.by_key, loan.private_key, "ls-remote", host.url(other))
        assert (refused.returncode != 0, "no access" in refused.stderr) == (True, True)
    gone = await asyncio.to_thread(host.by_key, loan.private_key, "ls-remote", host.url())
    assert (gone.returncode != 0, "Permission denied" in gone.stderr) == (True, True)
    assert not (host.folder / "repositories" / f"{other}.git").exists()


async def test_a_key_whose_time_is_over_opens_nothing_and_is_swept(hosted: tuple[str, GitHost]) -> None:
    user, host = hosted
    async with _keys(host, SystemClock()).lent(user, APP, 0.001) as loan:
        expired = await asyncio.to_thread(host.by_key, loan.private_key, "ls-remote", host.url())
        assert "Permission denied" in expired.stderr
        # As after a crash: nobody takes it back.
        left = [path.read_bytes() for path in host.loans.iterdir()]
    (host.loans / f"{'a' * 64}.json").write_bytes(left[0])
    (host.loans / f"{'b' * 64}.json").write_bytes(b"{")
    async with _keys(host, SystemClock()).lent(user, APP, 60):
        await _keys(host, SystemClock()).sweep()
        assert len(list(host.loans.iterdir())) == 2
    await _keys(host, _Ahead()).sweep()
    assert list(host.loans.iterdir()) == []


async def test_a_transfer_ends_when_its_key_is_taken_back(hosted: tuple[str, GitHost]) -> None:
    user, host = hosted
    keys = _keys(host, SystemClock())
    path = host.folder / "lent"
    async with keys.lent(user, APP, 60) as loan:
        path.touch(0o600)
        path.write_bytes(loan.private_key)
        argv = ["ssh", "-F", "none", "-i", str(path), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o"]
        argv += [f"UserKnownHostsFile={host.known_hosts}", "-p", str(host.port), "git@127.0.0.1"]
        # It never says what it wants to push, and would hold the repository open for an hour.
        push = await asyncio.create_subprocess_exec(
            *argv,
            f"git-receive-pack '{host.repository}.git'",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert push.stdout is not None and push.stderr is not None
        assert await push.stdout.read(1)
    said = await asyncio.wait_for(push.stderr.read(), 20)
    assert b"no longer" in said
    await push.wait()


async def test_a_user_cannot_push_to_another_app(world: World, client: WorkspaceClient) -> None:
    """Also not while a key of theirs is lent: it is for the one repository."""
    await client.git(APP, "ensure")
    hook = '#!/bin/sh\neval "$GIT_SSH_COMMAND -p {port} git@{host} \\"git-receive-pack \'funai/u1-appx.git\'\\"" >&2\n'
    address, _, port = world.url.removeprefix("ssh://git@").partition("/")[0].partition(":")
    await asyncio.to_thread(world.write, ".git/hooks/pre-push", hook.format(port=port, host=address))
    await asyncio.to_thread(world.inside, f"chmod +x apps/{APP}/.git/hooks/pre-push")
    await asyncio.to_thread(world.write, "a.txt", "a")
    refused = await client.git(APP, "commit-push", CommitMessage())
    assert refused.result is GitResult.PUSH_FAILED
    assert "no access to it" in refused.message
    assert not (world.host.folder / "repositories/funai/u1-appx.git").exists()


@pytest.fixture
async def hasty(docker_url: str, tmp_path: Path, hosted: tuple[str, GitHost]) -> AsyncIterator[World]:
    """Its node waits for git for a short while only, which is still long for what does not hang."""
    await asyncio.to_thread(git_image.build, docker_url, IMAGE)
    async with workspace_git.world(docker_url, tmp_path, hosted, FUNAI_WORKSPACE_GIT_TIMEOUTSECONDS=25) as found:
        yield found


async def test_git_that_hangs_is_ended_with_all_that_it_started(hasty: World) -> None:
    async with hasty.node.client(hasty.user) as client:
        await _hang(hasty, client)


async def _hang(world: World, client: WorkspaceClient) -> None:
    await client.git(APP, "ensure")
    hook = "#!/bin/sh\ntrap '' TERM HUP INT\n(setsid sleep 1000 &)\nwhile :; do sleep 1; done\n"
    await asyncio.to_thread(world.write, ".git/hooks/pre-push", hook)
    await asyncio.to_thread(world.inside, f"chmod +x apps/{APP}/.git/hooks/pre-push")
    await asyncio.to_thread(world.write, "a.txt", "a")
    pushing = asyncio.gather(client.git(APP, "commit-push", CommitMessage()), return_exceptions=True)

    async def busy() -> bool:
        return any("sleep 1000" in line for line in await asyncio.to_thread(world.programs))

    await eventually(busy)
    assert len(list(world.host.loans.iterdir())) == 1
    with pytest.raises(Refused, match="another git operation") as refusal:
        await client.git(APP, "pull")
    assert refusal.value.status == 409
    with pytest.raises(Refused, match="another git operation") as refusal:
        await _deleted(client, world.user)
    assert refusal.value.status == 409 and (world.app / "a.txt").exists()
    (report,) = await pushing
    assert isinstance(report, GitReport)
    assert report.result is GitResult.PUSH_FAILED
    assert "took longer" in report.message
    assert await asyncio.to_thread(world.programs) == []
    assert await asyncio.to_thread(world.keys) == []
    await asyncio.to_thread(world.inside, f"rm apps/{APP}/.git/hooks/pre-push")
    assert (await client.git(APP, "commit-push", CommitMessage())).result is GitResult.SUCCESS


async def _deleted(client: WorkspaceClient, user_id: str) -> AppCleared:
    path = "/api/fun-ai/workspace/internal/maintenance/app-deleted"
    query = {"userId": user_id, "appId": APP}
    return await client.transport.call("POST", path, AppCleared, query=query, seconds=60)


async def test_a_deleted_apps_keys_open_nothing(world: World, client: WorkspaceClient) -> None:
    """Not even one that a process before had lent."""
    await client.git(APP, "ensure")
    keys = _keys(world.host, SystemClock())
    async with keys.lent(world.user, APP, 600) as loan, keys.lent(world.user, "other", 600):
        lent = {path.name for path in world.host.loans.iterdir()}
        assert world.host.by_key(loan.private_key, "ls-remote", world.url).returncode == 0
        cleared = await _deleted(client, world.user)
        assert (cleared.complete, cleared.removed_keys, cleared.removed_folders) == (True, 1, 1)
        assert len(lent - {path.name for path in world.host.loans.iterdir()}) == 1 and len(lent) == 2
        assert world.host.by_key(loan.private_key, "ls-remote", world.url).returncode != 0
    assert not world.app.exists()


async def test_nothing_of_a_hostile_repository_breaks_what_is_told(world: World, client: WorkspaceClient) -> None:
    await client.git(APP, "ensure")
    # The user's own configuration may name passwords; what is told has none.
    script = (
        f"cd apps/{APP} && git config remote.origin.url https://me:secret@example.com/x.git && "
        "git config log.showSignature true && git config status.branch false && git config color.ui always && "
        "git -c user.name=\"$(printf 'a\\033[31m')\" -c user.email=e@e commit -q --allow-empty "
        "-m \"$(printf 'one\\037two\\033]0;x\\007\\nthree')\""
    )
    await asyncio.to_thread(world.inside, script)
    status = await client.git_status(APP)
    assert (status.branch, status.remote_url) == ("main", "https://***@example.com/x.git")
    newest = (await client.git_log(APP)).commits[0]
    assert not any(character < " " for character in newest.message + newest.author)
    await asyncio.to_thread(world.inside, f"cd apps/{APP} && rm -rf .git/HEAD")
    broken = await client.git(APP, "pull")
    assert broken.result is GitResult.FAILED


async def test_a_reset_by_get_is_refused(world: World) -> None:
    path, query = "/api/fun-ai/workspace/git/reset", f"userId={world.user}&appId={APP}&commitSha={'a' * 40}"
    headers = signed_headers(SECRET, "GET", path, query, EMPTY_DIGEST)
    async with httpx.AsyncClient() as anyone:
        assert (await anyone.get(f"{world.node.url}{path}?{query}", headers=headers)).status_code == 405


async def test_an_image_without_git_says_what_is_to_be_done(
    docker_url: str, tmp_path: Path, hosted: tuple[str, GitHost]
) -> None:
    overrides = {"FUNAI_WORKSPACE_IMAGE": "busybox:1.36"}
    async with (
        workspace_git.world(docker_url, tmp_path, hosted, **overrides) as world,
        world.node.client(world.user) as client,
    ):
        for asked in (client.git_status(APP), client.git(APP, "ensure")):
            with pytest.raises(Refused, match="openssh-client into the image") as refusal:
                await asked
            assert refusal.value.status == 409
        assert await asyncio.to_thread(world.keys) == []
