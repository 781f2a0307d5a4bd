"""Carries moves out: one step after the other, each written down before the next, each as good the second time.

A process that ends in between leaves a row that says how far it was; when its lease is over another process, or the
same one anew, goes on from there. Two that think they have a move cannot harm it: nodes refuse orders of a move that is
over, and the switch is one statement that only the one with the row can make.
"""

import asyncio
import logging
import secrets
from dataclasses import dataclass, replace
from typing import Final

from daemons.api.domain.moves import (
    ABANDON_TRIES,
    RENEWALS,
    REVOCABLE,
    WORKING,
    Move,
    MoveLost,
    Verdict,
    close_enough,
    ended,
    rolled_back,
    verdict,
)
from daemons.api.domain.workspaces import (
    NoWorkspaceNode,
    PlacementChanged,
    PlacementPolicy,
    UnknownWorkspaceNode,
    WorkspaceNode,
    choose,
    obstacle,
)
from daemons.api.ports.moves import MoveStore, MovingNodes, OrderRefused
from daemons.api.ports.workspaces import Holdings, NodeUnreachable, WorkspaceStore
from daemons.kit.sql import DatabaseUnavailable
from daemons.kit.tasks import first
from protocol.workspace_moves import WorkspaceMoveState as State
from protocol.workspace_moves import WorkspacePass

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
_NOTE_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 10.0
_AT_A_TIME: Final = 20
_SAID: Final = (NodeUnreachable, OrderRefused, NoWorkspaceNode)


class _Cancelled(Exception):
    """An operator cancelled the move."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many moves go on at once, how long sources keep the files of who left (seconds), how long is waited after
    the first failure of a step (seconds; then twice as long each time), and how long a move stands still when the
    process that works on it is killed (seconds)."""

    at_once: int = 2
    keep_seconds: int = 3600
    pause_seconds: float = 0.5
    lease_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Around:
    """What moves are carried out with."""

    moves: MoveStore
    workspaces: WorkspaceStore
    nodes: MovingNodes
    holdings: Holdings
    policy: PlacementPolicy


class Moving:
    """One process's part in all moves."""

    def __init__(self, around: Around, pace: Pace) -> None:
        self._around = around
        self._moves = around.moves
        self._nodes = around.nodes
        self._pace = pace
        self._owner = secrets.token_hex(16)
        self._mine: set[int] = set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._begin(group)
                    await self._drop()
                except DatabaseUnavailable as error:
                    logger.warning("moves of workspaces wait for the database", extra={"error": str(error)})
                await asyncio.sleep(_LOOK_SECONDS)

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        under_way = await self._moves.working()
        for move in await self._moves.due(_AT_A_TIME):
            if move.id in self._mine:
                continue
            if move.state is State.QUEUED:
                if under_way >= self._pace.at_once:
                    return
                under_way += 1
            if await self._moves.claim(move.id, self._owner):
                self._mine.add(move.id)
                group.create_task(self._carried(move))

    async def _carried(self, move: Move) -> None:
        """Work on it until nothing is left to be done now, or it is another's."""
        try:
            await first(self._carry(move.id), self._renew(move.id))
        except (MoveLost, DatabaseUnavailable) as error:
            logger.warning("a move is left to who has it", extra={"move": move.id, "error": str(error)})
        except asyncio.CancelledError:
            # The next process need not wait for the lease.
            await self._moves.release(move.id, self._owner)
            raise
        finally:
            self._mine.discard(move.id)

    async def _renew(self, move_id: int) -> None:
        while True:
            await asyncio.sleep(self._moves.lease_seconds / RENEWALS)
            await self._moves.renew(move_id, self._owner)

    async def _carry(self, move_id: int) -> None:
        tries, move = 0, await self._moves.move(move_id)
        while move.state is State.QUEUED or move.state in WORKING:
            before = move.state
            try:
                if move.cancelled and move.state in REVOCABLE:
                    raise _Cancelled
                move, tries = await self._step(move), 0
            except _Cancelled:
                move = await self._save(rolled_back(await self._moves.move(move_id), "cancelled"), before)
            except PlacementChanged as error:
                move = await self._save(rolled_back(move, str(error)), before)
            except UnknownWorkspaceNode as error:
                move = await self._failed(move, ABANDON_TRIES, error, for_good=True)
            except _SAID as error:
                tries += 1
                for_good = isinstance(error, NoWorkspaceNode) or getattr(error, "for_good", False)
                move = await self._failed(await self._moves.move(move_id), tries, error, for_good=for_good)
            if move.state is not before:
                said = {"move": move.id, "user_id": move.user_id, "state": move.state.value, "error": move.error}
                logger.info("workspace_move", extra=said)
                tries = 0
        await self._moves.release(move.id, self._owner)

    async def _failed(self, move: Move, tries: int, error: Exception, *, for_good: bool) -> Move:
        said = {"move": move.id, "state": move.state.value, "tries": tries, "error": str(error)}
        logger.warning("a step of a move failed", extra=said)
        if verdict(move.state, tries, for_good=for_good) is Verdict.ROLL_BACK:
            return await self._save(rolled_back(move, str(error)), move.state)
        if move.state is State.ROLLING_BACK and tries >= ABANDON_TRIES and await self._free(move):
            return await self._save(ended(move, await self._moves.now()), move.state)
        await asyncio.sleep(min(_LONGEST_PAUSE, self._pace.pause_seconds * 2 ** min(tries - 1, 6)))
        return move

    async def _free(self, move: Move) -> bool:
        """Whether the source goes on; only the target could not be told."""
        try:
            await self._nodes.order(await self._source(move), "release", move, move.epoch)
        except UnknownWorkspaceNode:
            return True
        except (NodeUnreachable, OrderRefused):
            return False
        return True

    async def _step(self, move: Move) -> Move:
        match move.state:
            case State.QUEUED:
                return await self._start(move)
            case State.COPYING:
                return await self._copy(move)
            case State.FROZEN:
                return await self._freeze(move)
            case State.SETTLING:
                held = await self._nodes.order(await self._source(move), "hold", move, move.epoch)
                await self._nodes.settle(await self._target(move), move, held)
                return await self._switch(move)
            case State.SWITCHED:
                await self._nodes.order(await self._source(move), "leave", move, move.epoch)
                until = await self._moves.now() + self._pace.keep_seconds * 1000
                return await self._save(replace(move, state=State.KEEPING, keep_until=until), move.state)
            case _:
                return await self._roll_back(move)

    async def _switch(self, move: Move) -> Move:
        try:
            return await self._moves.switch(move, self._owner)
        except MoveLost:
            # Cancelled in the last moment, or really another's.
            found = await self._moves.note(move.id, self._owner, move.copied_bytes)
            if found.cancelled:
                raise _Cancelled from None
            raise

    async def _start(self, move: Move) -> Move:
        nodes, users, now = await self._around.workspaces.nodes()
        source = await self._source(move)
        if move.target_id is None:
            others = [node for node in nodes if node.id != source.id]
            target = choose(others, users, self._around.policy, now)
        else:
            target = await self._around.workspaces.node(move.target_id)
            found = next((node for node in nodes if node.id == target.id), target)
            if problem := obstacle(found, self._around.policy, now):
                raise OrderRefused(f"{target.name} takes no users: {problem}", for_good=True)
        used = (await self._nodes.order(source, "usage", move, move.epoch)).used_bytes
        begun = replace(move, target_id=target.id, total_bytes=used, state=State.COPYING)
        return await self._save(begun, move.state)

    async def _copy(self, move: Move) -> Move:
        """Passes while the workspace is used, until little is left."""
        target = await self._target(move)
        stands = await self._nodes.order(target, "arrive", move, move.epoch + 1)
        while True:
            came = await self._pass(move, stands.token, compare=False)
            move = await self._moved(move, came)
            stands = stands.model_copy(update={"token": came.token})
            if close_enough(move.passes, came.copied_bytes):
                frozen = replace(move, state=State.FROZEN, frozen_at=await self._moves.now())
                return await self._save(frozen, move.state)

    async def _freeze(self, move: Move) -> Move:
        """The last pass, while nothing changes; what came of all of them is compared."""
        source, target = await self._source(move), await self._target(move)
        await self._nodes.order(source, "hold", move, move.epoch)
        stands = await self._nodes.order(target, "arrive", move, move.epoch + 1)
        came = await self._pass(move, stands.token, compare=True)
        move = await self._moved(move, came)
        if not came.matches:
            # A pass that broke off may have left what was gone before the next one. All of it anew.
            logger.warning("workspace_move_copied_anew", extra={"move": move.id})
            came = await self._pass(move, "", compare=True)
            move = await self._moved(move, came)
        if not came.matches:
            raise OrderRefused("the copy is not what the source has", for_good=True)
        return await self._save(replace(move, state=State.SETTLING), move.state)

    async def _pass(self, move: Move, after: str, *, compare: bool) -> WorkspacePass:
        loop, sent, noted = asyncio.get_running_loop(), move.copied_bytes, 0.0

        async def passing(size: int) -> None:
            nonlocal sent, noted
            sent += size
            if loop.time() - noted >= _NOTE_SECONDS:
                noted = loop.time()
                if (await self._moves.note(move.id, self._owner, sent)).cancelled:
                    raise _Cancelled

        source, target = await self._source(move), await self._target(move)
        return await self._nodes.copy(source, target, move, after, passing, compare=compare)

    async def _moved(self, move: Move, came: WorkspacePass) -> Move:
        found = replace(
            move,
            passes=move.passes + 1,
            copied_files=move.copied_files + came.copied_files,
            copied_bytes=move.copied_bytes + came.copied_bytes,
            skipped=came.skipped,
        )
        found = await self._save(found, move.state)
        if found.cancelled:
            raise _Cancelled
        return found

    async def _roll_back(self, move: Move) -> Move:
        """The source first: people wait for it. What the target has is in nobody's way."""
        await self._nodes.order(await self._source(move), "release", move, move.epoch)
        if move.target_id is not None:
            await self._nodes.order(await self._target(move), "abandon", move, move.epoch + 1)
        return await self._save(ended(move, await self._moves.now()), move.state)

    async def _drop(self) -> None:
        """Sources drop what they keep, once the target has the workspace."""
        for move in await self._moves.kept(_AT_A_TIME):
            if not await self._moves.claim(move.id, self._owner):
                continue
            try:
                found = await self._around.workspaces.look(move.user_id)
                if found is None or found[0].epoch <= move.epoch or not await self._has(move, found[1]):
                    raise OrderRefused("nobody confirms that the workspace is elsewhere", for_good=False)
                await self._nodes.drop(await self._source(move), move)
                done = replace(move, state=State.DONE, ended_at=await self._moves.now())
                await self._save(done, move.state)
            except UnknownWorkspaceNode:
                await self._save(replace(move, state=State.DONE, ended_at=await self._moves.now()), move.state)
            except (NodeUnreachable, OrderRefused) as error:
                later = await self._moves.now() + self._pace.keep_seconds * 1000
                await self._save(replace(move, keep_until=later, error=str(error)), move.state)
            finally:
                await self._moves.release(move.id, self._owner)

    async def _has(self, move: Move, node: WorkspaceNode) -> bool:
        return await self._around.holdings.holds(node, move.user_id)

    async def _save(self, move: Move, was: State) -> Move:
        return await self._moves.save(move, self._owner, was)

    async def _source(self, move: Move) -> WorkspaceNode:
        return await self._around.workspaces.node(move.source_id)

    async def _target(self, move: Move) -> WorkspaceNode:
        return await self._around.workspaces.node(move.target_id or 0)
