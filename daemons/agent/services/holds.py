"""One operation at a time per app; a newer attempt takes over from an older one instead of waiting for its end.

The older attempt can no longer go live (deploy confirms only the newest fence), so letting it use up its time would
only delay the newer one. It gives up at its next await, except past its point of no return, which is short and is
waited for.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class AppBusy(Exception):
    """Something else is being done to the app."""


class Superseded(Exception):
    """A newer attempt took over; nothing of this one went live."""


class Hold:
    """The right to act on one app, for the attempt with `fence` (None: a caller that names no attempt)."""

    def __init__(self, app_id: str, fence: int | None) -> None:
        self._app_id = app_id
        self._fence = fence
        self._superseded = False
        self._scope: asyncio.Timeout | None = None
        self.ended = asyncio.Event()

    def yields_to(self, fence: int | None) -> bool:
        """Whether an attempt with this fence is newer."""
        return fence is not None and self._fence is not None and fence > self._fence

    def supersede(self) -> None:
        """Ask the holder to give up."""
        self._superseded = True
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Work that a newer attempt may interrupt. Raises Superseded."""
        if self._superseded:
            raise self._lost()
        try:
            async with asyncio.timeout(None) as self._scope:
                yield
        except TimeoutError:
            if not self._superseded:
                raise
            raise self._lost() from None
        finally:
            self._scope = None

    def _lost(self) -> Superseded:
        return Superseded(f"attempt {self._fence} of app {self._app_id} was superseded by a newer one and ended")


class Holds:
    """Who holds which app."""

    def __init__(self) -> None:
        self._held: dict[str, Hold] = {}

    def __contains__(self, app_id: str) -> bool:
        return app_id in self._held

    @asynccontextmanager
    async def hold(self, app_id: str, fence: int | None) -> AsyncIterator[Hold]:
        """The app is ours for the block; an older attempt is made to end first. Raises AppBusy."""
        while holder := self._held.get(app_id):
            if not holder.yields_to(fence):
                raise AppBusy(
                    f"another operation on app {app_id} is in flight on this node; try again when it has ended"
                )
            holder.supersede()
            await holder.ended.wait()
        hold = self._held[app_id] = Hold(app_id, fence)
        try:
            yield hold
        finally:
            del self._held[app_id]
            hold.ended.set()
