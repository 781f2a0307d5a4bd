"""Makes, starts, freezes, stops and removes the containers of users: one step at a time for each of them."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final, Literal
from weakref import WeakValueDictionary

from daemons.kit.clock import Clock
from daemons.kit.engine.errors import EngineError
from daemons.workspace.domain.containers import ContainerSpec, Limits, making
from daemons.workspace.domain.places import choose
from daemons.workspace.domain.workspaces import (
    Phase,
    Seen,
    Workspace,
    admitted,
    advance,
    container_name,
    observed,
)
from daemons.workspace.ports import Containers, FreePorts, Homes, Images, Records, Use

logger = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 5
_REMEMBERED_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class Making:
    """How this node makes containers."""

    node: str
    image: str
    pull: Literal["IF_NOT_PRESENT", "ALWAYS", "NEVER"]
    container_port: int
    port_base: int
    port_count: int
    uid: int
    limits: Limits
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Outside:
    """What workspaces are made of."""

    containers: Containers
    images: Images
    homes: Homes
    records: Records
    ports: FreePorts


class Workspaces:
    """The workspaces of one node. Reading changes nothing; everything else takes turns, a user at a time."""

    def __init__(self, outside: Outside, making: Making, clock: Clock) -> None:
        self._outside = outside
        self._making = making
        self._clock = clock
        self._known: dict[str, Workspace] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._ports = asyncio.Lock()
        self._uses: Counter[str] = Counter()
        self._written: dict[str, int] = {}

    async def recover(self) -> None:
        """Take up what the last process left, as the engine has it now. Raises EngineError, RecordError."""
        for workspace in await self._outside.records.load():
            self._known[workspace.user_id] = workspace
            if workspace.move or workspace.phase is Phase.MOVED:
                # Whatever runs there under its name is another node's, or the move sees to it.
                continue
            state = await self._outside.containers.state(container_name(workspace.user_id))
            self._known[workspace.user_id] = observed(workspace, state.seen, self._now())

    def known(self) -> tuple[Workspace, ...]:
        """Every workspace of the node, as it remembers them."""
        return tuple(self._known.values())

    def find(self, user_id: str) -> Workspace | None:
        """The user's workspace, if the node has one."""
        return self._known.get(user_id)

    async def look(self, user_id: str) -> Workspace | None:
        """The workspace as it is now; nothing is started, written down or counted as use. Raises EngineError."""
        workspace = self._known.get(user_id)
        if workspace is None or workspace.move or workspace.phase in (Phase.STARTING, Phase.STOPPING, Phase.MOVED):
            return workspace
        state = await self._outside.containers.state(container_name(user_id))
        return observed(workspace, state.seen, self._now())

    async def ensure(self, user_id: str, epoch: int | None = None) -> Workspace:
        """The user's container runs. Raises EngineError, HomeError, RecordError, NoPorts, StaleEpoch, MovedAway."""
        async with self._turn(user_id):
            workspace = await self._admit(user_id, epoch)
            return await self._run(workspace)

    @asynccontextmanager
    async def awake(self, user_id: str, epoch: int | None = None) -> AsyncIterator[Workspace]:
        """The user's container runs, and is not frozen while this is held. Entering it raises as `ensure`."""
        self._uses[user_id] += 1
        try:
            yield await self.ensure(user_id, epoch)
        finally:
            self._uses[user_id] -= 1
            self.touch(user_id, Use.CALL)

    @asynccontextmanager
    async def thawed(self, user_id: str) -> AsyncIterator[None]:
        """The user's container is not frozen while this is held; one that does not run is not started. Entering it
        raises EngineError, RecordError."""
        self._uses[user_id] += 1
        try:
            async with self._turn(user_id):
                workspace = self._known.get(user_id)
                if workspace is not None and workspace.phase is Phase.FROZEN:
                    await self._run(workspace)
            yield
        finally:
            self._uses[user_id] -= 1

    def touch(self, user_id: str, use: Use) -> None:
        """Somebody used it now. Whatever the use is: which ones count was decided where it was seen."""
        if workspace := self._known.get(user_id):
            self._known[user_id] = replace(workspace, used_at_ms=self._now())

    async def remember(self, user_id: str) -> None:
        """When it was used last survives a restart of the node, to the minute. Raises RecordError."""
        workspace = self._known.get(user_id)
        if workspace is not None and workspace.used_at_ms - self._written.get(user_id, 0) >= _REMEMBERED_MS:
            async with self._turn(user_id):
                await self._keep(self._known[user_id])

    async def freeze(self, user_id: str) -> bool:
        """Its processes sleep in memory; whether they do. One that is being used stays awake. Raises EngineError."""
        async with self._turn(user_id):
            workspace = self._known.get(user_id)
            if workspace is None or workspace.phase is not Phase.RUNNING or self._uses[user_id]:
                return False
            await self._outside.containers.pause(container_name(user_id))
            await self._step(workspace, Phase.FROZEN)
            return True

    async def stop(self, user_id: str) -> bool:
        """Its container has ended, its files stay; whether there was one to end. Raises EngineError, RecordError."""
        async with self._turn(user_id):
            workspace = self._known.get(user_id)
            if workspace is None or workspace.phase not in (Phase.RUNNING, Phase.FROZEN, Phase.STARTING):
                return False
            await self._stop(workspace)
            return True

    async def remove(self, user_id: str, epoch: int | None = None) -> None:
        """The container is gone; files, port and record stay. Raises EngineError, RecordError, StaleEpoch."""
        async with self._turn(user_id):
            workspace = self._known.get(user_id)
            if workspace is None or workspace.phase is Phase.MOVED:
                return
            workspace = admitted(workspace, epoch, self._now())
            if workspace.phase in (Phase.RUNNING, Phase.FROZEN, Phase.STARTING):
                workspace = await self._stop(workspace)
            await self._outside.containers.remove(container_name(user_id))
            await self._keep(observed(workspace, Seen.ABSENT, self._now()))

    async def admit(self, user_id: str, epoch: int | None, *, learn: bool = True) -> None:
        """Whether a caller with that epoch may do anything here at all; nothing is made, and only who may `learn` takes
        up a newer epoch. Raises StaleEpoch, MovedAway, BeingMoved, RecordError."""
        workspace = self._known.get(user_id)
        if workspace is not None and admitted(workspace, epoch, self._now()) != workspace and learn:
            async with self._turn(user_id):
                await self._admit(user_id, epoch)

    async def change(self, user_id: str, step: Callable[[Workspace, int], Workspace]) -> Workspace:
        """A step of a move, when it is the user's turn; the time is epoch milliseconds. Raises what the step raises,
        NoPorts, RecordError."""
        async with self._turn(user_id):
            workspace = await self._record(user_id, 0)
            found = step(workspace, self._now())
            return await self._keep(found) if found != workspace or not workspace.changed_at_ms else found

    async def _admit(self, user_id: str, epoch: int | None) -> Workspace:
        """The record that the call is about, made with the first call for its user."""
        workspace = await self._record(user_id, epoch or 0)
        found = admitted(workspace, epoch, self._now())
        return await self._keep(found) if found != workspace or not workspace.changed_at_ms else found

    async def _record(self, user_id: str, epoch: int) -> Workspace:
        workspace = self._known.get(user_id)
        if workspace is None:
            async with self._ports:
                kept = {one.host_port for one in self._known.values()}
                making = self._making
                port = choose(user_id, making.port_base, making.port_count, kept, self._outside.ports.free)
                workspace = Workspace(user_id, port, self._now(), epoch=epoch, used_at_ms=self._now())
                self._known[user_id] = workspace
        return workspace

    async def _run(self, workspace: Workspace) -> Workspace:
        if workspace.phase is Phase.RUNNING:
            # It may have ended by itself, or with the engine, or somebody froze it behind the node's back.
            state = await self._outside.containers.state(container_name(workspace.user_id))
            workspace = observed(workspace, state.seen, self._now())
        if workspace.phase is Phase.FROZEN:
            await self._outside.containers.unpause(container_name(workspace.user_id))
            return await self._step(workspace, Phase.RUNNING)
        if workspace.phase is Phase.RUNNING and (workspace.image == self._making.image or self._busy(workspace)):
            return workspace
        return await self._start(workspace)

    def _busy(self, workspace: Workspace) -> bool:
        """Whether somebody would miss the container if it were made anew from another image."""
        return self._uses[workspace.user_id] > 1

    async def _start(self, workspace: Workspace) -> Workspace:
        name, outside = container_name(workspace.user_id), self._outside
        workspace = await self._step(workspace, Phase.STARTING)
        try:
            spec = await self._spec(workspace)
            state = await outside.containers.state(name)
            if state.seen is not Seen.ABSENT and (state.making != making(spec) or state.seen is Seen.PAUSED):
                await outside.containers.remove(name)
                state = replace(state, seen=Seen.ABSENT)
            if state.seen is Seen.ABSENT:
                await self._image()
                workspace = replace(workspace, image=spec.image)
                await outside.containers.create(spec)
            if state.seen is not Seen.RUNNING:
                await outside.containers.start(name)
        except Exception as error:
            seen = await self._seen_or(name, Seen.EXITED)
            await self._keep(replace(observed(workspace, seen, self._now()), error=str(error)))
            raise
        return await self._step(workspace, Phase.RUNNING)

    async def _seen_or(self, name: str, otherwise: Seen) -> Seen:
        try:
            return (await self._outside.containers.state(name)).seen
        except EngineError:
            return otherwise

    async def _image(self) -> None:
        """Only when a container is made: neither status polls nor starts wait for a registry."""
        image, pull = self._making.image, self._making.pull
        if pull == "ALWAYS" or (pull == "IF_NOT_PRESENT" and not await self._outside.images.present(image)):
            try:
                await self._outside.images.pull(image)
            except EngineError:
                if not await self._outside.images.present(image):
                    raise
                logger.warning("an image could not be pulled; the one that is here is used", extra={"image": image})

    async def _stop(self, workspace: Workspace) -> Workspace:
        name = container_name(workspace.user_id)
        stopping = await self._step(workspace, Phase.STOPPING)
        if workspace.phase is Phase.FROZEN:
            # The engine's stop waits for a process that does not run.
            await self._outside.containers.unpause(name)
        await self._outside.containers.stop(name, _GRACE_SECONDS)
        stopped = await self._step(stopping, Phase.STOPPED)
        await self._outside.homes.rest(workspace.user_id)
        return stopped

    async def _spec(self, workspace: Workspace) -> ContainerSpec:
        how, homes = self._making, self._outside.homes
        return ContainerSpec(
            user_id=workspace.user_id,
            name=container_name(workspace.user_id),
            node=how.node,
            epoch=workspace.epoch,
            image=how.image,
            host_port=workspace.host_port,
            container_port=how.container_port,
            home=str(await homes.ready(workspace.user_id)),
            gates=str(await homes.gates(workspace.user_id)),
            uid=how.uid,
            limits=how.limits,
            environment={**how.environment, "FUNAI_USER_ID": workspace.user_id},
        )

    async def _step(self, workspace: Workspace, to: Phase) -> Workspace:
        return await self._keep(advance(workspace, to, self._now()))

    async def _keep(self, workspace: Workspace) -> Workspace:
        known = self._known.get(workspace.user_id, workspace)
        kept = replace(workspace, used_at_ms=max(workspace.used_at_ms, known.used_at_ms))
        await self._outside.records.save(kept)
        self._known[workspace.user_id] = kept
        self._written[workspace.user_id] = kept.used_at_ms
        return kept

    @asynccontextmanager
    async def _turn(self, user_id: str) -> AsyncIterator[None]:
        lock = self._turns.get(user_id)
        if lock is None:
            lock = self._turns[user_id] = asyncio.Lock()
        async with lock:
            yield

    def _now(self) -> int:
        return int(self._clock.now().timestamp() * 1000)
