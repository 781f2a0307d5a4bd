"""The databases of people's deployed apps."""

import asyncio

from daemons.api.domain.access import Subject
from daemons.api.ports.databases import AppDatabases
from daemons.api.services.ownership import Ownership
from daemons.kit.mongo.admission import admit
from protocol.databases import Question


class Databases:
    """Finds out whose app it is, refuses what no explorer takes, and has the rest asked."""

    def __init__(self, databases: AppDatabases, ownership: Ownership) -> None:
        self._databases = databases
        self._ownership = ownership

    async def ask(self, subject: Subject, app_id: str, question: Question) -> bytes:
        """The answer as it came: an envelope in JSON. Raises NotFound, BadDocument, SystemCollection, and whatever
        `AppDatabases` does."""
        app = await self._ownership.app(subject, app_id)
        await asyncio.to_thread(admit, question)
        return await self._databases.ask(app.user_id, app.id, question)
