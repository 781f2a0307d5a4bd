"""An operator's shell in an app, over the control plane."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from protocol.client.socket import ClientLine, NotOpened, opened
from protocol.client.transport import Refused, Transport


class ShellCalls:
    """Part of `AdminClient`."""

    transport: Transport

    @asynccontextmanager
    async def app_shell(self, app_id: str) -> AsyncIterator[ClientLine]:
        """A line that carries frames of `protocol.shell`; the first to be sent is a `ShellStart`. Entering it raises
        Refused: 404 when the app runs nowhere, 409 when it does not run, 429 when there are too many shells, 502 when
        its node is silent; and Unreachable."""
        path = f"/admin/apps/{app_id}/shell"
        try:
            async with opened(f"{self.transport.base_url}{path}", self.transport.proof) as line:
                yield line
        except NotOpened as refusal:
            # A refused upgrade comes without its words.
            await self.transport.call("GET", path, dict)
            raise Refused(refusal.status, str(refusal)) from None
