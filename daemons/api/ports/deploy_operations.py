"""What operators ask of the deploy control plane by way of the API, which proves itself there and not them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from protocol.base import Wire


@dataclass(frozen=True, slots=True)
class Errand:
    """One call. `path` is the control plane's own; `key` has it done once however often it is sent; `expected` is the
    version (`protocol.versions`) of what the operator saw."""

    method: str
    path: str
    query: Mapping[str, str | int | None] = field(default_factory=dict)
    body: Wire | None = None
    key: str | None = None
    expected: str | None = None
    seconds: float = 8.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the control plane said, in its own words: an envelope as JSON, and the status that belongs to it."""

    status: int
    document: bytes
    retry_after: str | None = None


class DeployOperations(Protocol):
    """`base_url` is where the control plane is."""

    @property
    def base_url(self) -> str: ...

    async def ask(self, errand: Errand) -> Told:
        """A refusal is an answer, too. Raises PlaneUnreachable without one, or when it does not admit the API."""
        ...
