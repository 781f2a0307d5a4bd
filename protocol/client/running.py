"""Calls of the control plane about apps that run, for operators."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from pydantic import ValidationError

from protocol.client.stream import payloads
from protocol.client.transport import Transport
from protocol.running import AppLogEvent, AppLogQuery, NodeStats

#: Agents send a beat every five seconds.
SILENCE_SECONDS: Final = 20.0


class RunningCalls:
    """Part of `AdminClient`."""

    transport: Transport

    async def app_log(self, app_id: str, wanted: AppLogQuery | None = None) -> AsyncGenerator[AppLogEvent, None]:
        """The app's output: its tail, or what came after a cursor; with `follow` until the line is lost or the app is
        gone, which an event of kind `end` tells. Events of kinds that this client does not know are left out. Raises
        Refused 404 when the app runs nowhere, 429 when it has too many readers, 502 when its node is silent."""
        asked = wanted or AppLogQuery()
        query: Mapping[str, str | int | None] = {**asked.to_data(), "follow": 1 if asked.follow else None}
        path = f"/admin/apps/{app_id}/log"
        async with self.transport.stream(path, query=query, silence_seconds=SILENCE_SECONDS) as response:
            async for data in payloads(response):
                try:
                    yield AppLogEvent.model_validate_json(data)
                except ValidationError:
                    continue

    async def app_stats(self, app_id: str) -> NodeStats:
        """What the app uses, in a list of one. Raises Refused 404 when it runs nowhere, 502 when its node is silent."""
        return await self.transport.call("GET", f"/admin/apps/{app_id}/stats", NodeStats)

    async def node_stats(self, name: str) -> NodeStats:
        """What every app of a node uses. Raises Refused 404 for a node that there is not, 502 when it is silent."""
        return await self.transport.call("GET", f"/admin/runtime-nodes/{name}/stats", NodeStats)
