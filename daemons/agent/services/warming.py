"""Fetches images that will be deployed in a moment, while what comes before the deployment goes on.

A favour that stands back for everything else: it takes room that nobody needs, removes nothing, and is given up as soon
as a deployment needs that room. A deployment of the very image waits for nothing: it pulls beside this, and the engine
joins two pulls of one layer. What was fetched in vain goes like every other image that is not in use.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from daemons.agent.ports import Images, NoRoom
from daemons.agent.services.room import Room
from daemons.kit.engine.errors import EngineError
from daemons.kit.tasks import first

logger = logging.getLogger(__name__)

_MOST: Final = 4
_SECONDS: Final = 300.0


@dataclass(slots=True, eq=False)
class _Pull:
    user_id: str
    app_id: str
    image: str
    ends: asyncio.Event


class Warming:
    """At most four at a time, one for each app."""

    def __init__(self, images: Images, room: Room, most: int = _MOST) -> None:
        self._images = images
        self._room = room
        self._most = most
        self._pulls: dict[str, _Pull] = {}
        self._asked: asyncio.Queue[_Pull] = asyncio.Queue()

    async def run(self) -> None:
        """Fetch what is asked for, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                pull = await self._asked.get()
                group.create_task(self._fetch(pull), name=f"warm {pull.app_id}")

    async def begin(self, user_id: str, app_id: str, image: str) -> tuple[bool, str | None]:
        """Whether it is being fetched, and if not, why not: None when it is here. Of an app the newest counts. Raises
        EngineError."""
        if await self._images.image_id(image) is not None:
            return False, None
        known = self._pulls.get(app_id)
        if known is not None and known.image == image:
            return True, None
        if known is not None:
            self._give_up(known)
        if len(self._pulls) >= self._most:
            return False, f"{self._most} images are fetched for later already"
        pull = self._pulls[app_id] = _Pull(user_id, app_id, image, asyncio.Event())
        self._asked.put_nowait(pull)
        return True, None

    def end(self, user_id: str, app_id: str) -> bool:
        """Whether there was something to give up."""
        known = self._pulls.get(app_id)
        if known is None or known.user_id != user_id:
            return False
        self._give_up(known)
        return True

    def _give_up(self, pull: _Pull) -> None:
        pull.ends.set()
        del self._pulls[pull.app_id]

    async def _fetch(self, pull: _Pull) -> None:
        extra = {"app_id": pull.app_id, "image": pull.image}
        try:
            async with asyncio.timeout(_SECONDS), self._room.spare(pull.image):
                await first(self._images.pull(pull.image), _given_up(pull))
        except (EngineError, NoRoom, TimeoutError) as error:
            logger.info("an image was not fetched for later", extra={**extra, "error": str(error)})
        else:
            logger.info("an image was fetched for later", extra=extra)
        finally:
            if self._pulls.get(pull.app_id) is pull:
                del self._pulls[pull.app_id]


async def _given_up(pull: _Pull) -> str:
    await pull.ends.wait()
    raise EngineError("it was given up")
