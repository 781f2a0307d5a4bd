"""Whoever is killed in whatever step of a move: afterwards one node has the workspace, with every byte written.

Real processes, ended with SIGKILL before an order reached the node, while files pass, or when its answer was on its
way; they come back, and the move goes on or back by itself.
"""

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from protocol.client.api import bearer
from protocol.client.signed import Signed
from protocol.client.transport import Refused, Transport, Unreachable
from protocol.client.workspace_admin import WorkspaceAdminClient
from protocol.headers import ADMIN_TOKEN
from protocol.workspace_moves import WorkspaceMove, WorkspaceMoveState
from protocol.workspace_nodes import WorkspaceHeld
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN, hear
from tests.support.workspace_node import SECRET, new_user
from tests.support.workspace_processes import Killable, Line, api_process, line, node_process

pytestmark = pytest.mark.real
PREFIX = "/api/fun-ai/workspace"
#: The order, when of it, and the node (0: source, 1: target) whose line it passes.
STEPS = [
    ("arrive", "before", 1),
    ("arrive", "after", 1),
    ("send", "amid", 0),
    ("receive", "amid", 1),
    ("receive", "after", 1),
    ("hold", "before", 0),
    ("hold", "after", 0),
    ("settle", "before", 1),
    ("settle", "after", 1),
    ("leave", "before", 0),
    ("leave", "after", 0),
]
WHOLE = (WorkspaceMoveState.KEEPING, WorkspaceMoveState.DONE)
BACK = (WorkspaceMoveState.FAILED, WorkspaceMoveState.CANCELLED)


def token_of(user_id: str) -> str:
    """What the user's calls are proven with."""
    return f"token-of-the-user-{user_id}"


@dataclass
class World:
    """Two nodes and an API that serve users, one of whom moves."""

    docker_url: str
    folder: Path
    nodes: tuple[Killable, Killable]
    api: Killable
    users: list[str]
    lines: tuple[Line, Line] = (Line(""), Line(""))
    user_id: str = ""

    def killed(self, who: str) -> Killable:
        return {"source": self.nodes[0], "target": self.nodes[1], "api": self.api}[who]


@asynccontextmanager
async def platform(docker_url: str, folder: Path, users: int) -> AsyncIterator[World]:
    """Processes that serve so many users."""
    people = [new_user() for _ in range(users)]
    async with AsyncExitStack() as stack:
        tag, base = secrets.token_hex(3), 20000 + secrets.randbelow(90) * 100
        one, two = [
            await stack.enter_async_context(
                node_process(docker_url, folder / f"n{number}", f"ws-{tag}-{number}", base + 50 * number)
            )
            for number in (0, 1)
        ]
        api = await stack.enter_async_context(api_process(folder, {user: token_of(user) for user in people}))
        yield World(docker_url, folder, (one, two), api, people)


@asynccontextmanager
async def used(world: World) -> AsyncIterator[World]:
    """The platform for another user, with lines of the test's own; who a test that failed left dead is alive again."""
    for each in (*world.nodes, world.api):
        await each.revive()
    async with line(world.nodes[0].url) as one, line(world.nodes[1].url) as two:
        yield replace(world, lines=(one, two), user_id=world.users.pop())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(docker_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One platform for all moves, each of a user of its own."""
    async with platform(docker_url, tmp_path_factory.mktemp("shared"), 3 * len(STEPS)) as world:
        yield world


@pytest.fixture
async def world(shared: World) -> AsyncIterator[World]:
    async with used(shared) as world:
        yield world


@pytest.fixture
async def own_world(docker_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with platform(docker_url, tmp_path, 1) as platform_of_one, used(platform_of_one) as world:
        yield world


@dataclass
class Person:
    """Somebody whose programs write while the workspace moves."""

    world: World
    user_id: str
    app_id: str
    calls: httpx.AsyncClient
    admin: WorkspaceAdminClient

    async def get(self, path: str) -> httpx.Response:
        return await self.calls.get(f"{PREFIX}/files/content?appId={self.app_id}&path={path}")

    async def written(self) -> list[int]:
        """What the program in the container has written, as the API tells it."""
        return [int(word) for word in (await self.get("log")).json()["data"]["content"].split()]

    def inside(self, command: str, *more: str) -> None:
        argv = ["docker", "-H", self.world.docker_url, "exec", *more, f"ws-u-{self.user_id}", "sh", "-c", command]
        subprocess.run(argv, check=True, capture_output=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("who", ["source", "target", "api"])
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step[1]}-{step[0]}")
async def test_who_is_killed_in_a_move_loses_nothing(world: World, who: str, step: tuple[str, str, int]) -> None:
    for number, each in enumerate(world.lines):
        await hear(world.api.url, each.url, f"ws-{number}")
    async with (
        httpx.AsyncClient(
            base_url=world.api.url, headers=bearer(token_of(world.user_id)), timeout=60, trust_env=False, verify=False
        ) as calls,
        Transport(world.api.url, {ADMIN_TOKEN: ADMIN}) as transport,
    ):
        app_id = str((await calls.post("/api/fun-ai/app/create")).json()["data"]["id"])
        person = Person(world, world.user_id, app_id, calls, WorkspaceAdminClient(transport))
        move = await _moved(person, who, step)
        # The switch decides: before it a failure may lead back, after it none does.
        assert step[0] != "leave" or move.state in WHOLE
        await _whole(person, move)


@pytest.mark.timeout(600)
async def test_a_restoration_whose_node_is_killed_leaves_nothing_beside_the_files(own_world: World) -> None:
    """But files of nobody, which are the operators'."""
    world = own_world
    await hear(world.api.url, world.lines[0].url, "ws-0")
    async with (
        httpx.AsyncClient(
            base_url=world.api.url, headers=bearer(token_of(world.user_id)), timeout=60, trust_env=False, verify=False
        ) as calls,
        Transport(world.api.url, {ADMIN_TOKEN: ADMIN}) as transport,
    ):
        admin, root = WorkspaceAdminClient(transport), world.folder / "n0" / "root"
        (await calls.post(f"{PREFIX}/container/ensure")).raise_for_status()
        kept = root / world.user_id / "apps" / "kept"
        kept.write_bytes(secrets.token_bytes(3_000_000))
        async with admin.backup(world.user_id) as pieces:
            taken = b"".join([piece async for piece in pieces])
        strange = root / ".spare-change"
        strange.mkdir()

        def left() -> list[str]:
            images = world.folder / "n0" / "state" / "images"
            folders = [each for each in (root, images) if each.exists()]
            return [one.name for each in folders for one in each.iterdir() if one.name.startswith(".spare-")]

        async def sent() -> AsyncIterator[bytes]:
            yield taken[: len(taken) // 2]
            await eventually(lambda: asyncio.to_thread(lambda: len(left()) > 1))
            world.nodes[0].strike()
            yield taken[len(taken) // 2 :]

        with pytest.raises((Refused, Unreachable)):
            await admin.restore(world.user_id, sent())
        await world.nodes[0].gone()
        assert len(left()) > 1
        await world.nodes[0].start()
        await eventually(lambda: asyncio.to_thread(lambda: left() == [strange.name]))

        async def over() -> bool:
            return (await admin.moves(active=True)).total == 0

        await eventually(over)
        (await calls.post(f"{PREFIX}/container/ensure")).raise_for_status()
        assert kept.stat().st_size == 3_000_000

        async def whole() -> AsyncIterator[bytes]:
            yield taken

        kept.unlink()
        told = await admin.restore(world.user_id, whole())
        (await calls.post(f"{PREFIX}/container/ensure")).raise_for_status()
        assert kept.stat().st_size == 3_000_000
        await admin.confirm_restore(told.move_id)


async def _moved(person: Person, who: str, step: tuple[str, str, int]) -> WorkspaceMove:
    """The move, when it is over; its victim came back."""
    world, (order, when, at) = person.world, step
    await _at_work(person)
    before = await person.written()
    way = world.lines[at]
    way.fired.clear()
    way.victim, way.armed = world.killed(who), (order, when)
    move = await person.admin.start_move(person.user_id, 2)
    async with asyncio.timeout(60):
        await way.fired.wait()
    await world.killed(who).gone()
    await world.killed(who).start()

    async def over() -> bool:
        return (await person.admin.move(move.move_id)).state in (*WHOLE, *BACK)

    await eventually(over)
    found = await person.admin.move(move.move_id)
    after = await person.written()
    assert after == list(range(1, len(after) + 1)), (step, who)
    assert len(after) >= len(before), (step, who)
    return found


async def _at_work(person: Person) -> None:
    """The user's workspace is on the first node, and a program in it writes."""
    await person.admin.cordon(2, cordoned=True)
    made = await person.calls.post(f"{PREFIX}/files/ensure-dir?appId={person.app_id}")
    assert made.status_code == 200, made.text
    await person.admin.cordon(2, cordoned=False)
    folder = f"/workspace/apps/{person.app_id}"
    person.inside(f"cd {folder}; head -c 3000000 /dev/urandom > big; md5sum big > sum; mkdir -p a/b; ln -s ../big a/l")
    program = f"cd {folder}; n=0; while :; do n=$((n+1)); echo $n >> log; [ $((n % 50)) = 0 ] && sleep 0.05; done"
    person.inside(program, "-d")

    async def writes() -> bool:
        return (await person.get("log")).status_code == 200

    await eventually(writes)


async def _whole(person: Person, move: WorkspaceMove) -> None:
    """One node has the workspace, whole; the other one lets nobody in, or knows nothing."""
    whole = move.state in WHOLE
    placed = [(await person.admin.placements(node, limit=100)).items for node in (1, 2)]
    epochs = [{one.user_id: one.epoch for one in some}.get(person.user_id) for some in placed]
    assert epochs == ([None, 2] if whole else [1, None]), move
    ensured = await person.calls.post(f"{PREFIX}/container/ensure")
    assert ensured.status_code == 200, ensured.text
    assert ensured.json()["data"]["epoch"] == (2 if whole else 1)
    await asyncio.to_thread(person.inside, f"cd /workspace/apps/{person.app_id} && md5sum -c sum && cmp a/l big")
    stranger = person.world.lines[0 if whole else 1]
    assert not (await held(stranger.node, person.user_id))
    await person.calls.post(f"{PREFIX}/container/remove")


async def held(node: str, user_id: str) -> bool:
    """Whether the node says that it has anything of the user's."""
    async with Transport(node, {}, auth=Signed(SECRET)) as transport:
        path, who = f"{PREFIX}/internal/holds", {"userId": user_id}
        return (await transport.call("GET", path, WorkspaceHeld, query=dict(who))).held
