"""The runtime node's agent over the typed client, ours or an existing one."""

import contextlib
from collections.abc import Mapping
from typing import Final

import httpx

from daemons.runner.domain.failures import WorkFailed
from daemons.runner.ports import Pacer
from protocol.apps import AppStatus, DeployApp, DeployedApp, RunCondition, WarmImage, WarmState
from protocol.client.agent import AgentClient
from protocol.client.transport import Refused, Transport, Unintelligible, Unreachable
from protocol.errors import JobReason
from protocol.headers import AGENT_TOKEN

#: An agent that restarts is back within seconds; a call that never reached it may be made again.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_WATCH_PAUSE_SECONDS: Final = 0.5
#: An agent that restarts within the window has this long to come back.
_WATCH_SLACK_SECONDS: Final = 15.0
_ADVICE: Final[Mapping[int, str]] = {
    401: "Set RUNTIME_AGENT_TOKEN to the same value for the runner and the agent, then deploy again.",
    409: "Mend what the agent says stands in the way, or wait until it has passed, then deploy again.",
}


class HttpAppHost:
    """Calls whichever agent a job names, with the platform's agent token."""

    def __init__(self, token: str, pacer: Pacer) -> None:
        self._token = token
        self._pacer = pacer
        # Made once: reading certificates takes longer than most calls.
        self._tls = httpx.create_ssl_context(trust_env=False)

    def _to(self, agent_url: str) -> Transport:
        network = httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False)
        return Transport(agent_url, {AGENT_TOKEN: self._token}, network=network)

    async def deploy(self, agent_url: str, order: DeployApp) -> None:
        """Ask the agent to put the app live and wait until it is and has lived through its watch window.

        Raises WorkFailed with what the agent said.
        """
        async with self._to(agent_url) as transport:
            try:
                live = await self._ask(AgentClient(transport), order)
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
            await self._watch(AgentClient(transport), order, live.watch_seconds or 0)

    async def warm(self, agent_url: str, order: WarmImage) -> str:
        """What came of it, in words. An agent that does not know how to is an older one."""
        async with self._to(agent_url) as transport:
            try:
                made = await AgentClient(transport).warm(order)
            except (Refused, Unintelligible, Unreachable) as error:
                return f"the node does not fetch it ahead: {error}"
        if made.state is WarmState.SKIPPED:
            return f"the node does not fetch it ahead: {made.reason}"
        return "the node has it" if made.state is WarmState.HERE else "the node begins to fetch it"

    async def cool(self, agent_url: str, order: WarmImage) -> None:
        """A fetch in vain ends by itself, too; so nothing is made of a failure."""
        async with self._to(agent_url) as transport:
            with contextlib.suppress(Refused, Unintelligible, Unreachable):
                await AgentClient(transport).cool(order.user_id, order.app_id)

    async def _watch(self, client: AgentClient, order: DeployApp, seconds: float) -> None:
        """A silent agent is no failure of the app: it is live, and serves whatever becomes of its agent."""
        deadline = self._pacer.now() + seconds + _WATCH_SLACK_SECONDS
        while seconds and order.fence is not None and self._pacer.now() < deadline:
            await self._pacer.sleep(_WATCH_PAUSE_SECONDS)
            try:
                status = await client.status(order.user_id, order.app_id)
            except (Refused, Unintelligible, Unreachable):
                continue
            if status.failed_fence == order.fence:
                raise _taken_back(status)
            if status.fence != order.fence or status.condition is not RunCondition.WATCHED:
                return

    async def _ask(self, client: AgentClient, order: DeployApp) -> DeployedApp:
        for pause in _PAUSES:
            try:
                return await client.deploy(order)
            except Unreachable as error:
                if not isinstance(error.__cause__, httpx.ConnectError | httpx.ConnectTimeout):
                    raise
                await self._pacer.sleep(pause)
        return await client.deploy(order)


def _taken_back(status: AppStatus) -> WorkFailed:
    instead = f"attempt {status.back_to} serves again" if status.back_to else "there is no earlier one to go back to"
    return WorkFailed(
        JobReason.DEPLOY_FAILED,
        f"the app went live and failed right after: {status.failed_reason}; {instead}",
        advice="Mend what the reason names and deploy again; the app's log has its last output.",
    )


def _refusal(error: Refused) -> WorkFailed:
    """In the agent's words; advice about the app itself would mislead where the call, not the app, is at fault."""
    return WorkFailed(
        JobReason.DEPLOY_FAILED, f"the agent refused with {error.status}: {error}", advice=_ADVICE.get(error.status)
    )
