"""An operator's shell in an app, over the control plane.

The client of WebSockets is loaded with the first shell: it is a fifth of what every command would wait for.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from protocol.client.transport import Refused, Transport

if TYPE_CHECKING:
    from protocol.client.socket import ClientLine


class ShellCalls:
    """Part of `AdminClient`."""

    transport: Transport

    @asynccontextmanager
    async def app_shell(self, app_id: str) -> AsyncIterator["ClientLine"]:
        """A line that carries frames of `protocol.shell`; the first to be sent is a `ShellStart`. Entering it raises
        Refused: 404 when the app runs nowhere, 409 when it does not run, 429 when there are too many shells, 502 when
        its node is silent; and Unreachable."""
        path = f"/admin/apps/{app_id}/shell"
        socket = import_module("protocol.client.socket")
        try:
            async with socket.opened(f"{self.transport.base_url}{path}", self.transport.proof) as line:
                yield line
        except socket.NotOpened as refusal:
            # A refused upgrade comes without its words.
            await self.transport.call("GET", path, dict)
            raise Refused(refusal.status, str(refusal)) from None
