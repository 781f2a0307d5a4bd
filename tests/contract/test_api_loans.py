"""Keys that the API lends, over every database: whatever fails and whoever dies, what was lent is taken back."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from functools import partial

import asyncssh
import pytest

from daemons.api.adapters.sql.deletions import SqlDeletions
from daemons.api.adapters.sql.loans import SqlLoans
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlApps, SqlUsers
from daemons.api.adapters.sql.workspaces import SqlWorkspaces
from daemons.api.domain.access import NotFound
from daemons.api.domain.apps import App, Draft
from daemons.api.domain.deployments import Hosting
from daemons.api.domain.keys import PublicKey, parse
from daemons.api.domain.loans import MOST_LOANS, Loan, LoanEnded, LoanExists, TooManyLoans, attempted
from daemons.api.domain.workspaces import Beat, Load, WorkspaceNode
from daemons.api.ports.loans import LentKeys
from daemons.api.services.loans import Lenders, LoanRefused, Loans, NotLent, NotTakenBack
from daemons.api.services.ownership import Ownership
from daemons.kit.clock import SystemClock
from daemons.kit.sql import Database, migrate, open_database
from daemons.kit.tasks import Loop, running
from tests.support.deploy_plane import MemoryDeployPlane
from tests.support.eventually import eventually
from tests.support.lent_keys import MemoryKeys

HOSTING = Hosting("git.example.org", 2222)
NODE, ELSEWHERE = "ws-1", "ws-2"
LOAN = Loan("SHA256:x", 1, 20001, NODE, "funai/u1-app20001", expires_at=9_000, settled_at=5_000, next_at=50_000)


def made() -> PublicKey:
    return parse(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode())


class World:
    """User 1 lives on the first node, user 2 on the other; each has an app. The git server is in memory."""

    def __init__(self, database: Database) -> None:
        self.database, self.keys, self.store = database, MemoryKeys(), SqlLoans(database)
        self.apps, self.workspaces = SqlApps(database), SqlWorkspaces(database)
        self.own: App
        self.foreign: App

    async def furnish(self) -> None:
        for user_id, name in ((1, NODE), (2, ELSEWHERE)):
            await SqlUsers(self.database).ensure(user_id, f"user{user_id}")
            node = await self.workspaces.hear(Beat(name, "http://127.0.0.1:9", "http://127.0.0.1:9", 15, Load()))
            await self.workspaces.place(user_id, partial(_always, node))
        self.own = await self.apps.create(1, Draft(), None, 1_000)
        self.foreign = await self.apps.create(2, Draft(), None, 1_000)

    def process(self, *, hold_ms: int = 60_000, arriving_ms: int = 60_000, keys: LentKeys | None = None) -> Loans:
        """A process of the API."""
        ownership = Ownership(self.apps, MemoryDeployPlane(SystemClock()))
        lenders = Lenders(keys or self.keys, ownership, self.workspaces, HOSTING)
        return Loans(self.store, lenders, hold_ms=hold_ms, arriving_ms=arriving_ms)

    async def lend(self, process: Loans, key: PublicKey, seconds: float = 60, node: str = NODE) -> Loan:
        return await process.lend(node, "1", str(self.own.id), key, seconds)

    async def left(self) -> int:
        """How many loans are written down."""
        return len(await self.store.of_app(1, self.own.id, NODE))

    async def nothing(self) -> bool:
        """Whether no key opens anything, and nothing is written down."""
        return not self.keys.keys and await self.left() == 0


def _always(node: WorkspaceNode, *_asked: object) -> WorkspaceNode:
    return node


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with open_database(database_url, QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        found = World(database)
        await found.furnish()
        yield found


def test_what_was_in_vain_is_tried_later_and_later() -> None:
    failed = attempted(LOAN, "away", 6_000, 6_010)
    assert failed is not None
    assert (failed.attempts, failed.problem, failed.next_at) == (1, "away", 7_010)
    again = attempted(failed, "away", 7_010, 7_020)
    assert again is not None and (again.attempts, again.next_at) == (2, 9_020)


def test_a_key_that_may_still_arrive_is_looked_for_once_more() -> None:
    early = attempted(LOAN, None, 4_999, 5_001)
    assert early is not None and early.next_at == 5_001
    assert attempted(LOAN, None, 4_000, 4_001) == replace(LOAN, next_at=5_000)
    assert attempted(LOAN, None, 5_000, 5_001) is None


async def test_a_key_opens_the_apps_repository_until_it_is_given_back(world: World) -> None:
    process, key = world.process(), made()
    loan = await world.lend(process, key)
    assert world.keys.keys == {(f"funai/u1-app{world.own.id}", key.fingerprint): loan.expires_at}
    assert abs(loan.expires_at - await world.store.now() - 60_000) < 30_000
    assert await process.give_back(ELSEWHERE, key.fingerprint) == 0
    assert not await world.nothing()
    assert await process.give_back(NODE, key.fingerprint) == 1
    assert await world.nothing()
    assert await process.give_back(NODE, key.fingerprint) == 0


async def test_a_node_gets_keys_for_users_who_live_there_alone(world: World) -> None:
    process = world.process()
    own, foreign = str(world.own.id), str(world.foreign.id)
    for node, user, app, words in (
        ("", "1", own, "FUNAI_WORKSPACE_NODE_REGISTRY_NODE_TOKENS"),
        (ELSEWHERE, "1", own, "not on ws-2"),
        (NODE, "2", foreign, "not on ws-1"),
        ("ws-3", "1", own, "not on ws-3"),
    ):
        with pytest.raises(LoanRefused, match=words):
            await process.lend(node, user, app, made(), 60)
    for user, app in (("1", foreign), ("2", own), ("1", "29999"), ("9", own), ("1", "shop"), ("1", "9" * 19)):
        with pytest.raises(NotFound):
            await process.lend(NODE, user, app, made(), 60)
    assert await world.nothing()


async def test_nobody_borrows_without_end(world: World) -> None:
    process, keys = world.process(), [made() for _ in range(MOST_LOANS)]
    for key in keys:
        await world.lend(process, key)
    with pytest.raises(TooManyLoans):
        await world.lend(process, made())
    assert await process.give_back_all(NODE, "1", str(world.own.id)) == MOST_LOANS
    assert await world.nothing()
    await world.lend(process, keys[0])
    with pytest.raises(LoanExists):
        await world.lend(process, keys[0])


async def test_what_nobody_gives_back_ends_by_its_time(world: World) -> None:
    """Also when the process that lent it is gone."""
    long, short = made(), made()
    await world.lend(world.process(), long)
    await world.lend(world.process(), short, seconds=0.2)
    async with running(world.process().run):
        await eventually(lambda: _is(world, long))
    assert await world.left() == 1


async def _is(world: World, *keys: PublicKey) -> bool:
    """Whether these are in, and no others."""
    return {fingerprint for _, fingerprint in world.keys.keys} == {key.fingerprint for key in keys} and (
        await world.left() == len(keys)
    )


@pytest.mark.parametrize("place", ["before", "after"])
async def test_a_process_that_dies_while_it_lends_leaves_nothing(world: World, place: str) -> None:
    """Before the git server took the key, and after it did."""
    world.keys.still = place
    async with running(lambda: _lending(world)):
        await world.keys.entered.wait()
    world.keys.still = None
    assert await world.left() == 1 and len(world.keys.keys) == (place == "after")
    async with running(world.process().run):
        await eventually(world.nothing)


async def _lending(world: World) -> None:
    await world.lend(world.process(arriving_ms=500), made(), seconds=0.3)


async def test_a_key_that_arrives_late_is_found_all_the_same(world: World) -> None:
    """Its order was on the way when the process that gave it died, and came after somebody had looked for it."""
    world.keys.still = "before"
    key = made()
    async with running(lambda: _late(world, key)):
        await world.keys.entered.wait()
    world.keys.still = None
    async with running(world.process().run):
        await eventually(lambda: _looked(world))
        assert await world.left() == 1
        world.keys.keys[f"funai/u1-app{world.own.id}", key.fingerprint] = 0
        await eventually(world.nothing)


async def _late(world: World, key: PublicKey) -> None:
    await world.lend(world.process(arriving_ms=3_000), key, seconds=0.1)


async def _looked(world: World) -> bool:
    return world.keys.looks > 0


async def test_a_loan_that_ends_while_it_begins_is_none(world: World) -> None:
    """Its app is deleted meanwhile: the key is let in after somebody looked for it."""
    process, slow = world.process(), _Gate(world.keys)
    async with asyncio.TaskGroup() as group:
        lending = group.create_task(_ends(world.lend(world.process(keys=slow), made())))
        await slow.entered.wait()
        await SqlDeletions(world.database).begin(1, world.own.id)
        assert await process.give_back_all(NODE, "1", str(world.own.id)) == 1
        assert await world.left() == 1
        slow.open.set()
    assert lending.result() and len(world.keys.keys) == 1
    async with running(process.run):
        await eventually(world.nothing)


async def test_what_an_app_borrowed_goes_with_it(world: World) -> None:
    process, key = world.process(), made()
    await world.lend(process, key)
    async with running(process.run):
        await SqlDeletions(world.database).begin(1, world.own.id)
        await eventually(world.nothing)
    with pytest.raises(NotFound):
        await world.lend(process, made())


async def test_a_git_server_that_is_away_gets_the_key_back_later(world: World) -> None:
    process, key = world.process(), made()
    await world.lend(process, key)
    world.keys.failing = 2
    with pytest.raises(NotTakenBack, match=r"the git server is away; it is tried again"):
        await process.give_back(NODE, key.fingerprint)
    assert not await world.nothing()
    async with running(process.run):
        await eventually(world.nothing)
    assert world.keys.failing == 0


async def test_a_git_server_that_is_away_lends_nothing(world: World) -> None:
    process = world.process(arriving_ms=300)
    world.keys.failing = 1
    with pytest.raises(NotLent, match="the git server is away"):
        await world.lend(process, made())
    assert await world.left() == 1
    async with running(process.run):
        await eventually(world.nothing)


async def test_without_a_git_server_an_operator_hears_what_to_set(world: World) -> None:
    ownership = Ownership(world.apps, MemoryDeployPlane(SystemClock()))
    process = Loans(world.store, Lenders(None, ownership, world.workspaces, HOSTING))
    with pytest.raises(NotLent, match="GIT_LOANS_DIR"):
        await world.lend(process, made())
    await process.sweep()
    assert await world.left() == 0


async def test_a_key_whose_record_is_lost_is_swept_when_its_time_is_over(world: World) -> None:
    """As after a restored backup of the database."""
    now = await world.store.now()
    names = [f"funai/u{app.user_id}-app{app.id}" for app in (world.own, world.foreign)]
    world.keys.keys = {(names[0], "SHA256:a"): now - 1, (names[1], "SHA256:b"): now - 1, (names[1], "SHA256:c"): 2**60}
    process = world.process()
    await process.sweep()
    assert world.keys.keys == {(names[1], "SHA256:c"): 2**60}
    await process.sweep()
    world.keys.keys[names[0], "SHA256:d"] = 1
    await process.sweep()
    assert set(world.keys.keys) == {(names[1], "SHA256:c")}


class _Gate(MemoryKeys):
    """Lets keys in once it is open."""

    def __init__(self, inner: MemoryKeys) -> None:
        super().__init__()
        self.keys, self.open = inner.keys, asyncio.Event()

    async def admit(self, loan: Loan, public_key: str) -> None:
        """When it is open."""
        self.entered.set()
        await self.open.wait()
        await super().admit(loan, public_key)


async def _ends(lending: Awaitable[Loan]) -> bool:
    """Whether the loan ends while it begins."""
    try:
        await lending
    except LoanEnded:
        return True
    return False


@pytest.mark.parametrize("seed", range(3))
async def test_whoever_dies_and_whatever_fails_nothing_is_left(world: World, seed: int) -> None:
    """Processes that live for moments lend and take back, over a git server that fails at times."""
    chance, lent = random.Random(seed), 0

    def borrowing(process: Loans) -> Loop:
        async def borrow() -> None:
            nonlocal lent
            while True:
                key = made()
                try:
                    await world.lend(process, key, seconds=chance.uniform(0.01, 0.5))
                    lent += 1
                    await process.give_back(NODE, key.fingerprint)
                except (NotLent, NotTakenBack, TooManyLoans, LoanEnded):
                    await asyncio.sleep(0.01)

        return borrow

    for _ in range(12):
        world.keys.still = chance.choice([None, None, "before", "after"])
        world.keys.failing = chance.randrange(3)
        one, another = (world.process(hold_ms=100, arriving_ms=100) for _ in range(2))
        async with running(one.run, another.run, borrowing(one), borrowing(another)):
            await asyncio.sleep(chance.uniform(0, 0.2))
    world.keys.still, world.keys.failing = None, 0
    async with running(world.process(hold_ms=100, arriving_ms=100).run):
        await eventually(world.nothing)
    assert lent
