"""What a call to a runtime agent begins with, and what its refusals say."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from daemons.deploy.domain.addresses import AgentAddresses, AgentAddressRefused
from daemons.deploy.ports import AgentFailed
from protocol.headers import AGENT_TOKEN


class AgentDoor:
    """`token` None means that none is configured: every call fails, saying so. So does one to an address where no agent
    may be, as a row of before may name: the token is not sent there."""

    def __init__(self, token: str | None, addresses: AgentAddresses | None = None) -> None:
        self._token = token
        self._addresses = addresses or AgentAddresses()

    def proof(self, base_url: str) -> Mapping[str, str]:
        """What the agent at that address is shown. Raises AgentFailed."""
        if self._token is None:
            raise AgentFailed("no token for runtime agents is configured; set RUNTIME_AGENT_TOKEN")
        try:
            self._addresses.check(base_url)
        except AgentAddressRefused:
            raise AgentFailed(
                "its agent's address is not one of DEPLOY_AGENT_ADDRESSES or DEPLOY_AGENT_NAMES"
            ) from None
        return {AGENT_TOKEN: self._token}


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent of ours says of a refusal; both are empty of others."""

    detail: str = ""
    reason: str = ""


def said(body: bytes) -> Said:
    """The words of a refusal's body."""
    try:
        document = orjson.loads(body)
    except ValueError:
        return Said()
    found = [document.get(key) for key in ("detail", "reason")] if isinstance(document, dict) else []
    return Said(*(each if isinstance(each, str) else "" for each in found))
