"""Workspaces go from node to node with all that is in them: real nodes, real containers, a real API between them."""

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import httpx
import pytest

from protocol.client.api import bearer
from protocol.client.transport import Refused, Transport
from protocol.client.workspace_admin import WorkspaceAdminClient
from protocol.headers import ADMIN_TOKEN
from protocol.workspace_files import WriteFile
from protocol.workspace_moves import WorkspaceMove, WorkspaceMoveState
from tests.support import workspace_node
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN, hear, served_api
from tests.support.workspace_node import SECRET, Node, new_user

pytestmark = pytest.mark.real
TOKEN = "token-of-the-user-012345"
PREFIX = "/api/fun-ai/workspace"
WHOLE = (WorkspaceMoveState.DONE, WorkspaceMoveState.KEEPING)
_OVER = (*WHOLE, WorkspaceMoveState.FAILED, WorkspaceMoveState.CANCELLED)


@dataclass
class Person:
    """Somebody with an app and a workspace on the first of two nodes."""

    url: str
    user_id: str
    app_id: str
    nodes: tuple[Node, Node]
    calls: httpx.AsyncClient
    admin: WorkspaceAdminClient

    async def moved(self, target: int) -> WorkspaceMove:
        """A move, when it is over."""
        return await self.over((await self.admin.start_move(self.user_id, target)).move_id)

    async def over(self, move_id: int) -> WorkspaceMove:
        """The move when nothing more comes of it but that the source forgets."""

        async def ended() -> bool:
            return (await self.admin.move(move_id)).state in _OVER

        await eventually(ended)
        return await self.admin.move(move_id)


@pytest.fixture
async def person(docker_url: str, tmp_path: Path) -> AsyncIterator[Person]:
    user_id = new_user()
    async with (
        workspace_node.node(docker_url, tmp_path / "a") as one,
        workspace_node.node(docker_url, tmp_path / "b") as two,
        served_api(tmp_path, SECRET, {int(user_id): TOKEN}) as url,
        httpx.AsyncClient(base_url=url, headers=bearer(TOKEN), timeout=60, trust_env=False, verify=False) as calls,
        Transport(url, {ADMIN_TOKEN: ADMIN}) as transport,
    ):
        await hear(url, one.url, "ws-1")
        app_id = str((await calls.post("/api/fun-ai/app/create")).json()["data"]["id"])
        await calls.post(f"{PREFIX}/files/ensure-dir?appId={app_id}")
        await hear(url, two.url, "ws-2")
        yield Person(url, user_id, app_id, (one, two), calls, WorkspaceAdminClient(transport))


def tree(home: Path) -> dict[str, tuple[object, ...]]:
    """All that is in a home, as it is compared."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(home.rglob("*")):
        name, status = str(path.relative_to(home)), path.lstat()
        if name.split("/")[0] in (".staging", "lost+found"):
            continue
        content: object = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[name] = (status.st_mode, status.st_uid, status.st_mtime_ns, content)
    return found


def strange(app: Path) -> None:
    """Everything that a disk may hold, as the user made it."""
    (app / "main.py").write_text("print(1)\n")
    (app / "empty" / "below").mkdir(parents=True)
    (app / "out").symlink_to("/etc/shadow")
    (app / "around").symlink_to("../../..")
    (app / "gone").symlink_to("nowhere")
    (app / "one").write_text("several names")
    (app / "two").hardlink_to(app / "one")
    (app / "empty" / "three").hardlink_to(app / "one")
    os.mkfifo(app / "pipe")
    with (app / "holes").open("wb") as file:
        file.seek(30 * 1024**2)
        file.write(b"end")
        file.truncate(40 * 1024**2)
    for name in (b"\xff\xfe", b"new\nline", b"-rf", "\u00e4\u4e2d".encode(), b" ", b"a" * 255, b"*\\"):
        Path(os.fsdecode(os.fsencode(app) + b"/" + name)).write_bytes(name)
    deep = app / "deep"
    for _ in range(60):
        deep = deep / "d"
    deep.mkdir(parents=True)
    (deep / "file").write_text("deep")
    for path in (app, *app.rglob("*")):
        os.lchown(path, 1000, 1000)
    (app / "empty" / "three").chmod(0o4751)
    (app / "main.py").chmod(0o000)
    (app / "empty").chmod(0o500)
    os.utime(app / "empty" / "below", ns=(1, 1_234_567_890_123_456_789))
    os.utime(app / "out", ns=(5, 1_111_111_111_000_000_007), follow_symlinks=False)


async def test_all_that_a_disk_may_hold_moves(person: Person) -> None:
    source, target = (node.home(person.user_id) for node in person.nodes)
    strange(source / "apps" / person.app_id)
    before = tree(source)
    names = [name for name in before if name.endswith("/pipe")]
    del before[names[0]]
    move = await person.moved(2)
    assert (move.state in WHOLE, move.error) == (True, "")
    assert move.skipped == (f"{names[0]} (no file, folder or link)",)
    assert tree(target) == before
    app = target / "apps" / person.app_id
    assert (app / "one").stat().st_ino == (app / "two").stat().st_ino == (app / "empty" / "three").stat().st_ino
    assert (app / "holes").stat().st_blocks * 512 < 1024**2
    made = (await person.calls.post(f"{PREFIX}/container/ensure")).json()["data"]
    assert (made["containerStatus"], made["epoch"]) == ("RUNNING", 2)
    assert not source.exists()
    back = await person.moved(1)
    assert (back.state in WHOLE, back.error, back.epoch) == (True, "", 2)
    assert tree(source) == before


async def test_a_source_answers_nobody_any_more_and_the_api_finds_the_target(person: Person) -> None:
    query = f"?appId={person.app_id}"
    assert (await person.moved(2)).state in WHOLE
    async with person.nodes[0].client(person.user_id) as stale:
        who: dict[str, str | int | None] = {"userId": person.user_id, "appId": person.app_id, "epoch": 1}
        for method, path in (("GET", "files/tree"), ("POST", "files/ensure-dir"), ("POST", "container/ensure")):
            with pytest.raises(Refused, match="another node"):
                await stale.transport.call(method, f"{PREFIX}/{path}", dict, query=who)
        with pytest.raises(Refused, match="another node"):
            order = WriteFile(user_id=person.user_id, app_id=person.app_id, path="x", content="y")
            await stale.transport.call("POST", f"{PREFIX}/files/content", dict, body=order)
    assert not person.nodes[0].home(person.user_id).exists()
    assert (await person.calls.get(f"{PREFIX}/files/tree{query}")).status_code == 200


async def test_a_private_preview_stays_private(person: Person) -> None:
    path = f"{PREFIX}/preview/access"
    order = {"appId": person.app_id, "visibility": "private"}
    made = (await person.calls.post(path, json=order)).json()["data"]
    assert (made["visibility"], made["generation"]) == ("private", 2)
    assert (await person.moved(2)).state in WHOLE
    found = (await person.calls.get(path, params={"appId": person.app_id})).json()["data"]
    assert (found["visibility"], found["generation"]) == ("private", 2)
    # What changes there is what comes back.
    assert (await person.calls.post(f"{PREFIX}/preview/revoke", params={"appId": person.app_id})).status_code == 200
    assert (await person.moved(1)).state in WHOLE
    found = (await person.calls.get(path, params={"appId": person.app_id})).json()["data"]
    assert (found["visibility"], found["generation"]) == ("private", 3)


async def test_terminals_are_told_and_open_anew_and_a_call_meanwhile_waits(person: Person) -> None:
    way = f"{person.url}{PREFIX}/terminal?appId={person.app_id}"
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(way, headers=bearer(TOKEN)) as socket:
            ready = json.loads((await socket.receive()).data)
            move = await person.admin.start_move(person.user_id, 2)
            async with asyncio.timeout(60):
                while (message := await socket.receive()).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
                    continue
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.SERVICE_RESTART)
            assert "moved to another node" in str(message.extra)
        # It stands still now, or just did; who calls is brought to where it is afterwards.
        during = await person.calls.get(f"{PREFIX}/files/tree?appId={person.app_id}")
        assert during.status_code == 200
        assert (await person.over(move.move_id)).state in WHOLE
        with pytest.raises(aiohttp.WSServerHandshakeError) as gone:
            async with session.ws_connect(f"{way}&session={ready['session']}", headers=bearer(TOKEN)):
                pass
        assert gone.value.status == 404
        async with session.ws_connect(way, headers=bearer(TOKEN)) as socket:
            assert json.loads((await socket.receive()).data)["type"] == "ready"


async def test_a_full_target_fails_the_move_and_the_source_goes_on(person: Person, tmp_path: Path) -> None:
    async with workspace_node.node(
        person.nodes[0].docker_url, tmp_path / "c", FUNAI_WORKSPACE_DISKQUOTA="16m"
    ) as small:
        await hear(person.url, small.url, "ws-3")
        (person.nodes[0].home(person.user_id) / "apps" / person.app_id / "big").write_bytes(os.urandom(30 * 1024**2))
        before = tree(person.nodes[0].home(person.user_id))
        move = await person.moved(3)
        assert (move.state, "disk is full" in move.error) == (WorkspaceMoveState.FAILED, True)
        assert tree(person.nodes[0].home(person.user_id)) == before
        assert not small.home(person.user_id).exists()
    made = (await person.calls.post(f"{PREFIX}/container/ensure")).json()["data"]
    assert (made["containerStatus"], made["epoch"]) == ("RUNNING", 1)


async def test_a_cancelled_move_leaves_all_as_it_was(person: Person) -> None:
    await person.admin.cordon(1, cordoned=False)
    before = tree(person.nodes[0].home(person.user_id))
    move = await person.admin.start_move(person.user_id, 2)
    with pytest.raises(Refused, match="being moved already"):
        await person.admin.start_move(person.user_id, 2)
    assert (await person.admin.cancel_move(move.move_id)).cancel_requested
    assert (await person.over(move.move_id)).state is WorkspaceMoveState.CANCELLED
    assert tree(person.nodes[0].home(person.user_id)) == before
    assert not person.nodes[1].home(person.user_id).exists()
    assert (await person.calls.post(f"{PREFIX}/container/ensure")).json()["data"]["epoch"] == 1
    with pytest.raises(Refused, match="cannot be cancelled"):
        await person.admin.cancel_move((await person.moved(2)).move_id)


async def test_a_drained_node_loses_its_users_and_gets_none(person: Person) -> None:
    drained = await person.admin.drain_node(1)
    assert (drained.users, drained.started) == (1, 1)
    found = await person.admin.moves(node_id=1)
    assert (await person.over(found.items[0].move_id)).state in WHOLE
    assert (await person.admin.placements(1)).total == 0
    assert [node.reason for node in (await person.admin.nodes()).nodes] == [
        "an operator lets it take no new users",
        None,
    ]
    assert (await person.admin.drain_node(1)).started == 0
    with pytest.raises(Refused, match="takes no users"):
        await person.admin.start_move(person.user_id, 1)


async def test_a_backup_brings_everything_back_and_the_former_is_kept(person: Person, tmp_path: Path) -> None:
    home, backups = person.nodes[0].home(person.user_id), "/api/fun-ai/admin/workspace-backups"
    app, operator = home / "apps" / person.app_id, {ADMIN_TOKEN: ADMIN}
    strange(app)
    (app / "node_modules").mkdir()
    (app / "node_modules" / "x").write_text("x")
    for path in (app / "node_modules", app / "node_modules" / "x"):
        os.chown(path, 1000, 1000)
    before = {name: what for name, what in tree(home).items() if not name.endswith("/pipe")}
    who = {"userId": person.user_id}
    async with person.admin.backup(person.user_id) as pieces:
        taken = b"".join([piece async for piece in pieces])
    async with person.admin.backup(person.user_id, node_modules=False) as pieces:
        names = await asyncio.to_thread(members, b"".join([piece async for piece in pieces]))
    assert not any("node_modules" in name for name in names)
    assert {f"workspace/{name}" for name in before} == set(await asyncio.to_thread(members, taken)) - {
        "funai-backup.json"
    }
    (app / "one").unlink()
    (app / "new").write_text("after the backup")
    changed = tree(home)

    for broken in (taken[:-100], taken[: len(taken) // 2], b"no archive", b""):
        refused = await person.calls.post(f"{backups}/restore", params=who, headers=operator, content=broken)
        assert refused.status_code == 409, refused.text
        assert tree(home) == changed
        await eventually(lambda: free(person))

    async def sent() -> AsyncIterator[bytes]:
        yield taken

    told = await person.admin.restore(person.user_id, sent())
    assert (told.entries, told.of_user_id) == (len(before), person.user_id)
    made = (await person.calls.post(f"{PREFIX}/container/ensure")).json()["data"]
    assert (made["containerStatus"], made["epoch"]) == ("RUNNING", 1)
    assert tree(home) == before
    images = person.nodes[0].settings.state_root / "images"
    aside = f".moved-{person.user_id}-{told.move_id}"
    former = images / aside if images.exists() else home.with_name(aside)
    assert former.exists()
    await person.admin.confirm_restore(told.move_id)
    assert not former.exists()


async def test_what_a_restoration_uses_is_not_swept_away(person: Person) -> None:
    node, home = person.nodes[0], person.nodes[0].home(person.user_id)
    (home / "apps" / person.app_id / "big").write_bytes(os.urandom(2_000_000))
    os.chown(home / "apps" / person.app_id / "big", 1000, 1000)
    before = tree(home)
    async with person.admin.backup(person.user_id) as pieces:
        taken = b"".join([piece async for piece in pieces])
    swept = asyncio.Event()

    async def sent() -> AsyncIterator[bytes]:
        yield taken[: len(taken) // 2]
        await swept.wait()
        yield taken[len(taken) // 2 :]

    restoring = asyncio.create_task(person.admin.restore(person.user_id, sent()))
    old = node.settings.host_root / f".spare-{person.user_id}-999999"
    old.mkdir()

    def spares() -> list[str]:
        return sorted(each.name for each in node.settings.host_root.glob(f".spare-{person.user_id}-*"))

    await eventually(lambda: asyncio.to_thread(lambda: len(spares()) == 2))
    await node.moves.sweep()
    (used,) = [name for name in spares() if name != old.name]
    swept.set()
    told = await restoring
    assert used == f".spare-{person.user_id}-{told.move_id}"
    (await person.calls.post(f"{PREFIX}/container/ensure")).raise_for_status()
    assert tree(home) == before
    await node.moves.sweep()
    assert spares() == []
    await person.admin.confirm_restore(told.move_id)


async def free(person: Person) -> bool:
    """Whether no restoration of the user's goes on."""
    return (await person.admin.moves(active=True)).total == 0


def members(archive: bytes) -> list[str]:
    """What is in a backup, by the ordinary tool's eyes."""
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8", errors="surrogateescape") as opened:
        return opened.getnames()
