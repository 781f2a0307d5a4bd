"""The runtime node's agent over the typed client, ours or an existing one."""

from collections.abc import Mapping
from typing import Final

import httpx

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.ports import Pacer
from protocol.apps import DeployApp
from protocol.client.agent import AgentClient
from protocol.client.transport import Refused, Transport, Unintelligible, Unreachable
from protocol.errors import JobReason
from protocol.headers import AGENT_TOKEN

#: An agent that restarts is back within seconds; a call that never reached it may be made again.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_ADVICE: Final[Mapping[int, str]] = {
    401: "Set RUNTIME_AGENT_TOKEN to the same value for the runner and the agent, then deploy again.",
    409: "Mend what the agent says stands in the way, or wait until it has passed, then deploy again.",
}


class HttpAppHost:
    """Calls whichever agent a job names, with the platform's agent token."""

    def __init__(self, token: str, pacer: Pacer) -> None:
        self._token = token
        self._pacer = pacer

    async def deploy(self, agent_url: str, order: DeployApp) -> None:
        """Ask the agent to put the app live and wait until it is, or WorkFailed with what the agent said."""
        async with Transport(agent_url, {AGENT_TOKEN: self._token}) as transport:
            try:
                await self._ask(AgentClient(transport), order)
            except Refused as error:
                raise _refusal(error) from error
            except Unintelligible as error:
                raise WorkFailed(
                    JobReason.DEPLOY_FAILED, f"the agent at {agent_url} gave an answer that is not understood: {error}"
                ) from error
            except Unreachable as error:
                raise WorkFailed(
                    JobReason.DEPLOY_FAILED,
                    f"the agent gave no answer, so whether the app is live is not known: {error}",
                    advice="Check that the node's agent runs and that this runner can reach it, then deploy again.",
                ) from error

    async def _ask(self, client: AgentClient, order: DeployApp) -> None:
        for pause in _PAUSES:
            try:
                await client.deploy(order)
            except Unreachable as error:
                if not isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                    raise
                await self._pacer.sleep(pause)
            else:
                return
        await client.deploy(order)


def _refusal(error: Refused) -> WorkFailed:
    """In the agent's words; advice about the app itself would mislead where the call, not the app, is at fault."""
    return WorkFailed(
        JobReason.DEPLOY_FAILED, f"the agent refused with {error.status}: {error}", advice=_ADVICE.get(error.status)
    )
