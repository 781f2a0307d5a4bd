"""Looking into and changing the databases of apps: finds the node that serves an app, asks its agent, passes on what it
says, and writes down what was changed."""

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from pydantic import ValidationError

from daemons.deploy.domain.databases import ANSWERS, Changed, Deed, ended, event
from daemons.deploy.domain.events import Actor
from daemons.deploy.ports import AgentFailed, Store, StoreUnavailable, Transaction
from daemons.deploy.ports.databases import AgentSilent, AppDatabases
from daemons.deploy.services.apps import AppNotPlaced
from daemons.deploy.services.bells import Bells
from daemons.kit.mongo.admission import admit
from daemons.kit.mongo.ports import DatabaseError, QueryRefused
from daemons.kit.seats import NoSeat, Seats
from daemons.kit.tasks import shielded
from protocol.base import Envelope
from protocol.databases import DatabaseOutcome, DatabaseRef, Question

logger = logging.getLogger(__name__)

#: Each may hold an answer of eight mebibytes.
_MOST: Final = 16
#: Of one user, however many apps they have.
_MOST_OF_ONE: Final = 4
_RECORD_SECONDS: Final = 3.0
_OPERATOR: Final = "admin"


class MayBeDone(DatabaseError):
    """A change was asked for, and whether it was made is not known."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The node that serves an app, and whose app it is."""

    node: str
    agent_base_url: str
    app: DatabaseRef


class Databases:
    """For the API, which asks for an app's owner and names them, and for operators."""

    def __init__(self, store: Store, bells: Bells, agents: AppDatabases) -> None:
        self._store = store
        self._bells = bells
        self._agents = agents
        self._seats = Seats("questions to databases", _MOST, _MOST_OF_ONE)

    async def ask(self, app_id: str, user_id: str | None, question: Question, actor: Actor) -> bytes:
        """The node's answer as it came, an envelope in JSON. With a user the app must be theirs. Changes are in the
        audit log before they are asked for, operators' looks before they are answered. Raises BadDocument,
        SystemCollection, QueryRefused, AppNotPlaced, NoSeat, DatabaseError, StoreUnavailable."""
        await asyncio.to_thread(admit, question)
        place = await self._place(app_id, user_id)
        with self._seats.take(f"user {place.app.user_id}"):
            deed = Deed(str(uuid4()), app_id, place.app.user_id, place.node, actor, question)
            if type(question) in ANSWERS:
                return await self._changed(place, deed)
            if actor.name == _OPERATOR:
                await self._record(deed)
            return await self._asked(place, question)

    async def _changed(self, place: _Place, deed: Deed) -> bytes:
        deed = await self._record(deed)
        end = ended(deed, DatabaseOutcome.UNKNOWN)
        try:
            answer = await self._asked(place, deed.question)
            end = ended(deed, DatabaseOutcome.DONE, _read(place, deed, answer))
        except (QueryRefused, NoSeat):
            end = ended(deed, DatabaseOutcome.REFUSED)
            raise
        except DatabaseError as error:
            if not isinstance(error, MayBeDone):
                end = ended(deed, DatabaseOutcome.REFUSED)
            raise
        finally:
            await shielded(self._remember(end), seconds=_RECORD_SECONDS)
        return answer

    async def _asked(self, place: _Place, question: Question) -> bytes:
        changes = type(question) in ANSWERS
        try:
            return await self._agents.ask(place.agent_base_url, place.app, question)
        except AgentSilent as error:
            raise (MayBeDone if changes else DatabaseError)(_words(place, error, maybe=changes)) from error
        except AgentFailed as error:
            raise DatabaseError(_words(place, error)) from error

    async def _place(self, app_id: str, user_id: str | None) -> _Place:
        """Raises AppNotPlaced."""

        async def work(tx: Transaction) -> _Place | None:
            node = await tx.serving_node(app_id)
            owner = (await tx.owners_of([app_id])).get(app_id)
            if node is None or not node.agent_base_url or owner is None or user_id not in (None, owner):
                return None
            return _Place(node.name, node.agent_base_url, DatabaseRef(user_id=owner, app_id=app_id))

        found = await self._store.transact(work)
        if found is None:
            raise AppNotPlaced(app_id)
        return found

    async def _remember(self, deed: Deed) -> None:
        try:
            await self._record(deed)
        except StoreUnavailable as error:
            # The log of the control plane is then the only place that tells of it.
            outcome = deed.outcome.value if deed.outcome else None
            facts = {"deed": deed.id, "app_id": deed.app_id, "outcome": outcome, "error": str(error)}
            logger.warning("what became of a change in a database is not in the audit log", extra=facts)

    async def _record(self, deed: Deed) -> Deed:
        """The deed as it was written. Raises StoreUnavailable."""

        async def work(tx: Transaction) -> Deed:
            after = deed if deed.outcome is not None else replace(deed, asked_at=await tx.now())
            await tx.append(event(after))
            return after

        written = await self._store.transact(work)
        self._bells.feed.ring()
        return written


def _read(place: _Place, deed: Deed, answer: bytes) -> Changed:
    """Raises MayBeDone for what is no answer to this change."""
    kind = ANSWERS[type(deed.question)]
    try:
        return kind.model_validate(Envelope[object].model_validate_json(answer).data, strict=False)
    except ValidationError:
        raise MayBeDone(_words(place, AgentFailed("its agent answered something else"), maybe=True)) from None


def _words(place: _Place, error: AgentFailed, *, maybe: bool = False) -> str:
    unsure = "; whether it was changed is not known, so look before you repeat it" if maybe else ""
    what = f"node {place.node} cannot be asked for the database of app {place.app.app_id}: {error}{unsure}"
    return f"{what}; try again in a minute; operators: look at the agent of {place.node} and at its MongoDB"
