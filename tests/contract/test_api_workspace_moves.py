"""Moves of workspaces over every database: one at a time for each user, worked on by one, switched once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemons.api.adapters.sql.moves import SqlMoves
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES
from daemons.api.adapters.sql.workspaces import SqlWorkspaces
from daemons.api.domain.moves import ACTIVE, Move, MoveExists, MoveLost, TooLateToCancel, UnknownMove
from daemons.api.domain.workspaces import Beat, Load, MoveRefused, NoWorkspace, PlacementChanged
from daemons.kit.sql import Database, migrate, open_database
from protocol.workspace_moves import WorkspaceMoveState as State
from tests.support.eventually import eventually

ME, OTHER = "me", "another"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        workspaces = SqlWorkspaces(database)
        for name in ("ws-1", "ws-2"):
            await workspaces.hear(Beat(name, f"http://{name}", f"http://{name}:7001", 10, Load()))
        await workspaces.place(7, lambda nodes, users, now: nodes[0])
        yield database


@pytest.fixture
def moves(database: Database) -> SqlMoves:
    return SqlMoves(database)


async def settling(moves: SqlMoves) -> Move:
    """A move of user 7 that is ours and about to be switched."""
    move = await moves.begin(7, 2)
    assert await moves.claim(move.id, ME)
    return await moves.save(replace(move, state=State.SETTLING, frozen_at=5), ME, State.QUEUED)


async def test_a_user_moves_once_at_a_time(moves: SqlMoves) -> None:
    begun = await asyncio.gather(*(moves.begin(7, 2) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, MoveExists) for each in begun) == 3
    with pytest.raises(MoveExists):
        await moves.restoring(7, ME, "")
    with pytest.raises(NoWorkspace):
        await moves.begin(8, 2)
    with pytest.raises(UnknownMove):
        await moves.move(99)


async def test_nobody_moves_to_where_they_are(moves: SqlMoves) -> None:
    with pytest.raises(MoveRefused, match="lives on ws-1"):
        await moves.begin(7, 1)


async def test_one_process_works_on_a_move(moves: SqlMoves) -> None:
    move = await moves.begin(7, 2)
    assert [each.id for each in await moves.due(5)] == [move.id]
    assert [await moves.claim(move.id, ME), await moves.claim(move.id, OTHER)] == [True, False]
    assert await moves.due(5) == []
    with pytest.raises(MoveLost):
        await moves.save(replace(move, state=State.COPYING), OTHER, State.QUEUED)
    with pytest.raises(MoveLost):
        await moves.renew(move.id, OTHER)
    copying = await moves.save(replace(move, state=State.COPYING, skipped=("a",)), ME, State.QUEUED)
    assert (copying.state, copying.skipped, await moves.working()) == (State.COPYING, ("a",), 1)
    with pytest.raises(MoveLost):
        await moves.save(copying, ME, State.QUEUED)
    await moves.release(move.id, ME)
    assert await moves.claim(move.id, OTHER)


async def test_who_does_not_say_so_in_time_works_on_a_move_no_more(database: Database) -> None:
    moves = SqlMoves(database, lease_seconds=0.3)
    move = await moves.begin(7, 2)
    assert await moves.claim(move.id, ME)

    async def free() -> bool:
        return [each.id for each in await moves.due(5)] == [move.id]

    await eventually(free)
    assert await moves.claim(move.id, OTHER)
    with pytest.raises(MoveLost):
        await moves.renew(move.id, ME)


async def test_the_switch_is_one_and_whole(moves: SqlMoves, database: Database) -> None:
    move = await settling(moves)
    with pytest.raises(MoveLost):
        await moves.switch(move, OTHER)
    switched = await asyncio.gather(*(moves.switch(move, ME) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, MoveLost) for each in switched) == 3
    found = await SqlWorkspaces(database).look(7)
    assert found is not None
    assert (found[0].node_id, found[0].epoch, (await moves.move(move.id)).state) == (2, 2, State.SWITCHED)
    with pytest.raises(TooLateToCancel):
        await moves.cancel(move.id)


async def test_what_was_cancelled_is_not_switched(moves: SqlMoves, database: Database) -> None:
    move = await settling(moves)
    assert (await moves.cancel(move.id)).cancelled
    with pytest.raises(MoveLost):
        await moves.switch(move, ME)
    found = await SqlWorkspaces(database).look(7)
    assert found is not None
    assert (found[0].node_id, found[0].epoch) == (1, 1)


async def test_who_moves_is_not_reassigned_meanwhile(moves: SqlMoves, database: Database) -> None:
    workspaces = SqlWorkspaces(database)
    move = await settling(moves)
    found = await workspaces.look(7)
    assert found is not None
    with pytest.raises(PlacementChanged):
        await workspaces.move(found[0], 2)
    await moves.save(replace(move, state=State.FAILED, ended_at=9), ME, State.SETTLING)
    assert (await workspaces.move(found[0], 2)).epoch == 2


async def test_a_placement_that_changed_is_not_switched_at_all(moves: SqlMoves, database: Database) -> None:
    move = await settling(moves)

    async def elsewhere(session: object) -> None:
        values = {"user_id": 7, "source_node_id": 1, "target_node_id": 2, "epoch": 1, "now": 1}
        await session.change("switch_workspace_placement", **values)  # type: ignore[attr-defined]

    await database.transact(elsewhere)
    with pytest.raises(PlacementChanged):
        await moves.switch(move, ME)
    assert (await moves.move(move.id)).state is State.SETTLING


async def test_moves_are_listed_by_node_and_state(moves: SqlMoves) -> None:
    move = await moves.begin(7, None)
    assert [each.id for each in (await moves.moves(1, ACTIVE, 0, 10))[1]] == [move.id]
    assert (await moves.moves(2, ACTIVE, 0, 10))[0] == 0
    assert (await moves.moves(None, [State.DONE], 0, 10)) == (0, [])


async def test_sources_keep_files_for_their_time(moves: SqlMoves) -> None:
    move = await settling(moves)
    switched = await moves.switch(move, ME)
    kept = await moves.save(replace(switched, state=State.KEEPING, keep_until=1), ME, State.SWITCHED)
    assert [each.id for each in await moves.kept(5)] == [move.id]
    await moves.save(replace(kept, keep_until=2**53), ME, State.KEEPING)
    assert await moves.kept(5) == []
    # The user may move on meanwhile.
    assert (await moves.begin(7, 1)).epoch == 2


async def test_a_cordon_is_seen_and_taken_away(moves: SqlMoves) -> None:
    assert (await moves.cordon(1, cordoned=True)).cordoned
    assert not (await moves.cordon(1, cordoned=False)).cordoned
