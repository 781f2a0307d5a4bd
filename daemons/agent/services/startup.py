"""Watches a container come up: is it still running, does it answer, and if not, why."""

import asyncio
from collections.abc import Collection
from typing import Final

from daemons.agent.domain.apps import Instance
from daemons.agent.domain.probing import Answer, crash, not_in_time, pauses
from daemons.agent.ports import Containers, HostPorts, Probe
from daemons.kit.engine.errors import EngineError
from daemons.kit.logs import Redactor

_LOG_LINES: Final = 50
_LOG_CHARACTERS: Final = 8000


class NotHealthy(Exception):
    """The container did not come up; the message holds the `reason` and the last lines of its output."""

    def __init__(self, reason: str, output: str) -> None:
        super().__init__(f"{reason}{output}")
        self.reason = reason


class Startup:
    """Proves that a started container works, within `seconds`."""

    def __init__(self, containers: Containers, probe: Probe, ports: HostPorts, seconds: float) -> None:
        self._containers = containers
        self._probe = probe
        self._ports = ports
        self._seconds = seconds

    def free_port(self, taken: Collection[int]) -> int:
        """A port for the next container. Raises EngineError."""
        return self._ports.free(taken)

    async def prove(self, instance: Instance, path: str, memory_bytes: int, secrets: Collection[str] = ()) -> None:
        """Return once the app answers. Raises NotHealthy, and EngineError when the engine cannot be asked.

        Apps print their variables when they fail, so what they printed is quoted without `secrets`.
        """
        redactor = Redactor(secrets)
        last: Answer | None = None
        try:
            async with asyncio.timeout(self._seconds):
                for pause in pauses():
                    state = await self._containers.state(instance.container)
                    if lost := crash(state, memory_bytes):
                        raise NotHealthy(lost, await self._output(instance, redactor))
                    last = await self._probe.get(instance.port, path)
                    if last.healthy:
                        break
                    await asyncio.sleep(pause)
        except TimeoutError:
            listening = await self._containers.listeners(instance.container)
            reason = not_in_time(instance.container_port, path, self._seconds, last, listening)
            raise NotHealthy(reason, await self._output(instance, redactor)) from None
        # What answered must be this container, still alive, not a neighbour that took the port in between.
        if lost := crash(await self._containers.state(instance.container), memory_bytes):
            raise NotHealthy(lost, await self._output(instance, redactor))

    async def _output(self, instance: Instance, redactor: Redactor) -> str:
        try:
            output = (await self._containers.logs(instance.container, _LOG_LINES)).strip()
        except EngineError as error:
            return f" (its output could not be read: {error})"
        if not output:
            return "; it printed nothing"
        return f"; its last output:\n{redactor.text(output)[-_LOG_CHARACTERS:]}"
