"""The node as it sees itself: its containers, disk, machine and parts. What cannot be found out is left out."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from daemons.agent.domain.report import Illness, NodeReport
from daemons.agent.ports import Containers, GatewayError, Machine, OwnContainer
from daemons.agent.services.collection import Collector
from daemons.agent.services.diskwatch import DiskWatch
from daemons.kit.engine.errors import EngineError

_PART_SECONDS: Final = 2.0

Ask = Callable[[], Awaitable[str]]


class SelfView:
    """`parts` say their versions; one that fails has a problem instead. `unwell` tells the apps that do not serve as
    they should, given the names of the containers that run."""

    def __init__(
        self,
        containers: Containers,
        watch: DiskWatch,
        collector: Collector,
        machine: Machine,
        parts: Mapping[str, Ask],
        unwell: Callable[[frozenset[str]], Sequence[Illness]],
    ) -> None:
        self._containers = containers
        self._watch = watch
        self._collector = collector
        self._machine = machine
        self._parts = parts
        self._unwell = unwell

    async def report(self) -> NodeReport:
        """Everything, each part within two seconds and all at once."""
        (own, disk), answers = await asyncio.gather(
            asyncio.gather(self._own(), self._measure()),
            asyncio.gather(*(self._ask(ask) for ask in self._parts.values())),
        )
        named = dict(zip(self._parts, answers, strict=True))
        return NodeReport(
            disk=self._watch.figures if disk else None,
            level=self._watch.level if disk else None,
            words=self._watch.words if disk else "",
            reserved_bytes=self._watch.reserved_bytes,
            running=None if own is None else sum(each.running for each in own),
            containers=None if own is None else len(own),
            load1=self._machine.load1(),
            cpus=self._machine.cpus(),
            versions={part: version for part, (version, _) in named.items() if version},
            problems={part: problem for part, (_, problem) in named.items() if problem},
            collected=self._collector.last,
            unwell=None if own is None else self._unwell(frozenset(each.name for each in own if each.running)),
        )

    async def _own(self) -> list[OwnContainer] | None:
        try:
            async with asyncio.timeout(_PART_SECONDS):
                return list(await self._containers.own())
        except (EngineError, TimeoutError):
            return None

    async def _measure(self) -> bool:
        try:
            async with asyncio.timeout(_PART_SECONDS):
                await self._watch.look()
        except (EngineError, TimeoutError):
            return False
        return True

    async def _ask(self, ask: Ask) -> tuple[str, str]:
        """The version, or the problem."""
        try:
            async with asyncio.timeout(_PART_SECONDS):
                return await ask(), ""
        except TimeoutError:
            return "", f"no answer within {_PART_SECONDS:g} s"
        except (EngineError, GatewayError) as error:
            return "", str(error)
