"""Push-to-deploy: what the git server tells, and what apps' owners want of it."""

import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from daemons.api.domain.apps import App
from daemons.api.domain.pushes import Push, PushRule
from daemons.api.http.apps import moment
from daemons.api.http.callers import subject
from daemons.api.services.pushes import Pushes
from daemons.kit.bodies import InvalidRequest, parse, query, read, reply
from daemons.kit.openapi import Answers
from protocol.api import OfApp
from protocol.headers import GITEA_DELIVERY, GITEA_EVENT, GITEA_SIGNATURE
from protocol.pushes import (
    PUSH,
    PUSHES_PATH,
    GitPush,
    PushOutcome,
    PushTaken,
    PushToDeployView,
    PushView,
    SetPushToDeploy,
    check_push_signature,
)

_DELIVERY: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_SETTINGS: Final = "/api/fun-ai/app/push-to-deploy"


class PushRoutes:
    """`POST /api/fun-ai/webhooks/git` is open to those whose signature fits. Without a secret nobody's does."""

    def __init__(self, pushes: Pushes, secrets: Sequence[str]) -> None:
        self._pushes = pushes
        self._secrets = tuple(secrets)

    def table(self) -> list[web.RouteDef]:
        """Routes for people, and for the git server."""
        return [
            web.post(PUSHES_PATH, self.take),
            web.get(_SETTINGS, self.show),
            web.post(_SETTINGS, self.change),
        ]

    @Answers(PushTaken, body=GitPush)
    async def take(self, request: web.Request) -> web.Response:
        """Take a push. Raises PushSignatureRefused."""
        body = await request.read()
        check_push_signature(self._secrets, request.headers.get(GITEA_SIGNATURE, ""), body)
        delivery = request.headers.get(GITEA_DELIVERY, "")
        if not _DELIVERY.fullmatch(delivery):
            raise InvalidRequest(f"{GITEA_DELIVERY}: must be at most 64 letters, digits or '-'", [GITEA_DELIVERY])
        if request.headers.get(GITEA_EVENT) != PUSH:
            return reply(PushTaken(delivery=delivery, outcome=PushOutcome.IGNORED))
        return reply(PushTaken(delivery=delivery, outcome=await self._pushes.take(delivery, parse(body, GitPush))))

    @Answers(PushToDeployView, refuses=(404,))
    async def show(self, request: web.Request) -> web.Response:
        """Which pushes are deployed, and what became of the newest."""
        return reply(rule_view(*await self._pushes.of(subject(request), query(request, OfApp).app_id)))

    @Answers(PushToDeployView, refuses=(404,))
    async def change(self, request: web.Request) -> web.Response:
        """Change which are."""
        order = await read(request, SetPushToDeploy)
        found = await self._pushes.set_rule(subject(request), order.app_id, order.branches, enabled=order.enabled)
        return reply(rule_view(*found))


def rule_view(app: App, rule: PushRule, push: Push | None) -> PushToDeployView:
    """Which pushes are deployed, and what became of the newest."""
    return PushToDeployView(
        app_id=app.id,
        enabled=rule.enabled,
        branches=rule.branches,
        last_push=None if push is None else _push(push),
    )


def _push(push: Push) -> PushView:
    return PushView(
        branch=push.branch,
        commit=push.commit,
        received_at=moment(push.received_at),
        job_id=push.job_id,
        reason=push.problem,
        next_attempt_at=None if push.next_at is None else moment(push.next_at),
    )
