"""The databases of deployed apps, which the control plane asks the apps' nodes about."""

from typing import Protocol

from protocol.databases import Question


class AppDatabases(Protocol):
    """One question at a time, about an app whose owner is known."""

    async def ask(self, user_id: int, app_id: int, question: Question) -> bytes:
        """The node's answer as it came: an envelope in JSON of at most a few mebibytes. Raises PlaneNotFound for an app
        that is on no node, PlaneInvalid, PlaneUnreachable; NoSeat, QueryRefused and DatabaseError of the kit."""
        ...
