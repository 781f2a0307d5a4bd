"""From a key and a command to a repository that may be served."""

import logging

from daemons.git.domain import access, commands
from daemons.git.ports import AccessBook, Repositories

logger = logging.getLogger(__name__)


class Gatekeeper:
    """Decides each request anew, so that a right that was taken away ends with the next command."""

    def __init__(self, book: AccessBook, repositories: Repositories) -> None:
        self._book = book
        self._repositories = repositories

    async def knows(self, fingerprint: str) -> bool:
        """Whether the key may enter at all."""
        return await self._book.holder(fingerprint) is not None

    async def may_still(self, fingerprint: str, command: commands.Command) -> bool:
        """Whether a command that was admitted would be admitted now."""
        holder = await self._book.holder(fingerprint)
        try:
            if holder is not None:
                access.admit(holder, command)
        except access.AccessDenied:
            return False
        return holder is not None

    async def admit(self, fingerprint: str, text: str | None) -> commands.Command:
        """The command to run, its repository in place. Raises CommandRefused or AccessDenied."""
        holder = await self._book.holder(fingerprint)
        if holder is None:
            raise access.AccessDenied("this key is no longer known")
        command = commands.parse(text)
        access.admit(holder, command)
        if not await self._repositories.exists(command.repository):
            if not access.may_create(holder, command.repository):
                raise access.AccessDenied(f"{command.repository}.git does not exist, or this key has no access to it")
            await self._repositories.create(command.repository)
            logger.info(
                "made a repository on first use",
                extra={"repository": command.repository, "principal": holder.principal},
            )
        return command
