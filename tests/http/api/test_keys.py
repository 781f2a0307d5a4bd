"""SSH keys over HTTP, and what the git server gets to read."""

import asyncssh
import pytest

from protocol.api import AddGitKey, GitAccess
from protocol.client.api import bearer
from protocol.client.transport import Refused
from tests.http.api.conftest import OWNER, Api


def key(comment: str = "me@laptop") -> tuple[str, str]:
    """A new public key line and its fingerprint."""
    pair = asyncssh.generate_private_key("ssh-ed25519", comment=comment)
    return pair.export_public_key().decode(), pair.get_fingerprint()


async def test_a_key_opens_ones_own_repositories_at_once(api: Api) -> None:
    await api.owner.create_app()
    await api.other.create_app()
    line, fingerprint = key()
    stored = await api.owner.add_key(AddGitKey(title="laptop", public_key=line))
    assert stored.fingerprint == fingerprint
    assert "me@laptop" not in stored.public_key
    (entry,) = api.access().keys
    assert (entry.principal, entry.fingerprint) == ("user:1", fingerprint)
    assert [(grant.repository, grant.access) for grant in entry.grants] == [("funai/u1-app20001", GitAccess.WRITE)]
    await api.owner.create_app()
    assert [grant.repository for grant in api.access().keys[0].grants] == ["funai/u1-app20001", "funai/u1-app20003"]
    assert await api.owner.keys() == (stored,)
    assert await api.other.keys() == ()


async def test_a_removed_key_is_out_of_the_file(api: Api) -> None:
    stored = await api.owner.add_key(AddGitKey(title="laptop", public_key=key()[0]))
    with pytest.raises(Refused):
        await api.other.remove_key(stored.id)
    assert len(api.access().keys) == 1
    await api.owner.remove_key(stored.id)
    assert api.access().keys == ()
    with pytest.raises(Refused) as refused:
        await api.owner.remove_key(stored.id)
    assert refused.value.status == 404


async def test_the_runner_bot_reads_everything_and_cannot_be_taken_over(api: Api) -> None:
    line, fingerprint = key("runner-bot")
    (api.folder / "bot.pub").write_text(line)
    await api.owner.create_app()
    with pytest.raises(Refused, match="the runner's own") as refused:
        await api.owner.add_key(AddGitKey(title="not mine", public_key=line))
    assert (refused.value.status, refused.value.reason) == (409, "already_exists")
    (entry,) = api.access().keys
    assert (entry.principal, entry.fingerprint) == ("bot:runner", fingerprint)
    assert [(grant.repository, grant.access) for grant in entry.grants] == [("*", GitAccess.READ)]


async def test_a_key_stands_for_one_person(api: Api) -> None:
    order = AddGitKey(title="laptop", public_key=key()[0])
    stored = await api.owner.add_key(order)
    assert await api.owner.add_key(order) == stored
    with pytest.raises(Refused) as refused:
        await api.other.add_key(order)
    assert (refused.value.status, refused.value.reason) == (409, "already_exists")


async def test_the_file_is_for_the_git_server_alone(api: Api) -> None:
    assert (api.folder / "access.json").stat().st_mode & 0o077 == 0
    assert [path.name for path in api.folder.iterdir() if path.name.startswith(".")] == []


async def test_a_file_that_cannot_be_written_is_said_so_and_mended_by_a_repetition(api: Api) -> None:
    (api.folder / "access.json").unlink()
    (api.folder / "access.json").mkdir()
    order = AddGitKey(title="laptop", public_key=key()[0])
    with pytest.raises(Refused, match="repeat the request") as refused:
        await api.owner.add_key(order)
    assert refused.value.status == 503
    (api.folder / "access.json").rmdir()
    await api.owner.add_key(order)
    assert len(api.access().keys) == 1


@pytest.mark.parametrize(
    "body",
    [
        '{"title": "x"}',
        '{"title": "x", "publicKey": ""}',
        '{"title": "x", "publicKey": "ssh-ed25519 AAAA"}',
        '{"title": "x", "publicKey": "command=\\"id\\" ssh-ed25519 AAAA"}',
        '{"title": "x", "publicKey": 7}',
        '{"title": "x", "publicKey": "-----BEGIN OPENSSH PRIVATE KEY-----"}',
    ],
)
async def test_what_is_not_a_public_key_is_refused(api: Api, body: str) -> None:
    answer = await api.raw.post("/api/fun-ai/git/keys", content=body, headers=bearer(OWNER))
    assert answer.status_code == 400
    assert answer.json()["data"]["fields"] == ["publicKey"]
    assert await api.owner.keys() == ()


@pytest.mark.parametrize("title", ["", " ", "two\nlines", "x" * 256])
async def test_a_title_is_one_short_line(api: Api, title: str) -> None:
    body = {"title": title, "publicKey": key()[0]}
    answer = await api.raw.post("/api/fun-ai/git/keys", json=body, headers=bearer(OWNER))
    assert answer.status_code == 400
    assert answer.json()["data"]["fields"] == ["title"]
