"""Orders of moves to workspace nodes, and passes between them through this process.

Files go through the API and not from node to node: nodes listen to the API alone, hold no address and no credential of
each other, and need no way to each other through whatever lies between them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

import orjson

from daemons.api.adapters.workspace_calls import HttpNodeCalls
from daemons.api.domain.moves import Move
from daemons.api.domain.workspaces import WorkspaceNode
from daemons.api.ports.moves import OrderRefused, Passing
from daemons.api.ports.workspaces import NodeAnswer, NodeCall, NodeUnreachable
from protocol.base import Envelope, Wire
from protocol.errors import ErrorReason
from protocol.workspace_moves import SettleWorkspace, WorkspaceHold, WorkspacePass, WorkspaceRestored

_BASE: Final = "/api/fun-ai/workspace/internal/moves"
#: A workspace's calls are sent away, its container frozen or removed, its disk unmounted.
_ORDER_SECONDS: Final = 60.0
#: All that was received is written to the disk, and trees are compared.
_PASS_SECONDS: Final = 300.0
#: Again would be no better: the disk is full, something is in the way, the tree cannot be copied.
_FOR_GOOD: Final = (ErrorReason.DISK_FULL.value, ErrorReason.ALREADY_EXISTS.value)
_UNPROCESSABLE: Final = 422

Model = TypeVar("Model", bound=Wire)


class HttpMovingNodes:
    """The port `MovingNodes`."""

    def __init__(self, calls: HttpNodeCalls) -> None:
        self._calls = calls

    async def order(self, node: WorkspaceNode, name: str, move: Move, epoch: int) -> WorkspaceHold:
        """Raises NodeUnreachable, OrderRefused."""
        method = "GET" if name == "usage" else "POST"
        call = NodeCall(method, f"{_BASE}/{name}", _query(move, epoch), {}, patience=_ORDER_SECONDS)
        async with self._calls.call(node, call) as answer:
            return await _read(node, answer, WorkspaceHold)

    async def settle(self, node: WorkspaceNode, move: Move, held: WorkspaceHold) -> WorkspaceHold:
        """Raises NodeUnreachable, OrderRefused."""
        order = SettleWorkspace(
            user_id=str(move.user_id),
            move_id=move.id,
            epoch=move.epoch + 1,
            run_app=held.run_app,
            run_type=held.run_type,
            access=held.access,
        )
        body, query = order.to_json(), _query(move, order.epoch)
        headers = {"Content-Type": "application/json"}
        call = NodeCall("POST", f"{_BASE}/settle", query, headers, body, len(body), patience=_ORDER_SECONDS)
        async with self._calls.call(node, call) as answer:
            return await _read(node, answer, WorkspaceHold)

    async def drop(self, node: WorkspaceNode, move: Move) -> None:
        """Raises NodeUnreachable, OrderRefused."""
        call = NodeCall("POST", f"{_BASE}/drop", _query(move, move.epoch), {}, patience=_ORDER_SECONDS)
        async with self._calls.call(node, call) as answer:
            if answer.status != 200:
                await _refused(node, answer)

    async def copy(
        self,
        source: WorkspaceNode,
        target: WorkspaceNode,
        move: Move,
        after: str,
        passing: Passing,
        *,
        compare: bool,
    ) -> WorkspacePass:
        """Raises NodeUnreachable, OrderRefused, and what `passing` raises."""
        query = f"{_query(move, move.epoch)}&after={after}"
        send = NodeCall("POST", f"{_BASE}/send", query, {}, patience=_PASS_SECONDS)
        async with self._calls.call(source, send) as sent:
            if sent.status != 200:
                await _refused(source, sent)
            passed = _Passed(sent.pieces(), passing)
            into = f"{_query(move, move.epoch + 1)}&after={after}&compare={int(compare)}"
            receive = NodeCall("POST", f"{_BASE}/receive", into, {}, passed.pieces(), patience=_PASS_SECONDS)
            try:
                async with self._calls.call(target, receive) as answer:
                    return await _read(target, answer, WorkspacePass)
            except NodeUnreachable:
                if passed.error is not None:
                    raise passed.error from None
                raise

    @asynccontextmanager
    async def archive(
        self, node: WorkspaceNode, user_id: int, *, node_modules: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Raises NodeUnreachable, OrderRefused."""
        query = f"userId={user_id}&nodeModules={int(node_modules)}"
        call = NodeCall("GET", f"{_BASE}/archive", query, {}, patience=_PASS_SECONDS)
        async with self._calls.call(node, call) as sent:
            if sent.status != 200:
                await _refused(node, sent)
            yield sent.pieces()

    async def restore(self, node: WorkspaceNode, move: Move, pieces: AsyncIterator[bytes]) -> WorkspaceRestored:
        """Raises NodeUnreachable, OrderRefused, and what the pieces raise."""
        passed = _Passed(pieces, _unnoted)
        query = _query(move, move.epoch)
        call = NodeCall("POST", f"{_BASE}/restore", query, {}, passed.pieces(), patience=_PASS_SECONDS)
        try:
            async with self._calls.call(node, call) as answer:
                return await _read(node, answer, WorkspaceRestored)
        except NodeUnreachable:
            if passed.error is not None:
                raise passed.error from None
            raise


async def _unnoted(_size: int) -> None:
    """Nobody asks how far it is."""


class _Passed:
    """The pieces on their way, and what broke them off on this side of the target."""

    def __init__(self, pieces: AsyncIterator[bytes], passing: Passing) -> None:
        self.error: Exception | None = None
        self._pieces = pieces
        self._passing = passing

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._pieces:
                await self._passing(len(piece))
                yield piece
        except Exception as error:
            self.error = error
            raise


def _query(move: Move, epoch: int) -> str:
    return f"userId={move.user_id}&moveId={move.id}&epoch={epoch}"


async def _read(node: WorkspaceNode, answer: NodeAnswer, model: type[Model]) -> Model:
    if answer.status != 200:
        await _refused(node, answer)
    try:
        told = orjson.loads(await answer.whole())
        return model.model_validate_json(orjson.dumps(told["data"]))
    except (ValueError, KeyError, TypeError):
        raise NodeUnreachable(f"workspace node {node.name} does not say what came of it") from None


async def _refused(node: WorkspaceNode, answer: NodeAnswer) -> None:
    """Raises OrderRefused."""
    try:
        told = Envelope[object].model_validate_json(await answer.whole())
        message, reason = told.message, told.reason or ""
    except ValueError:
        message, reason = f"HTTP {answer.status}", ""
    for_good = reason in _FOR_GOOD or answer.status == _UNPROCESSABLE
    raise OrderRefused(f"workspace node {node.name}: {message}", for_good=for_good)
