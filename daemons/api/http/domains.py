"""Hosts of apps' own over HTTP: their owners' claims, and the list that gateways are rendered from."""

from typing import Final

from aiohttp import web

from daemons.api.domain.domains import Claim
from daemons.api.http.apps import moment
from daemons.api.http.callers import subject
from daemons.api.services.domains import Domains
from daemons.kit.bodies import query, read, reply
from daemons.kit.openapi import TEXT, Answers
from protocol.api import AppDomainView, DomainOfApp, OfApp

_PATH: Final = "/api/fun-ai/app/domains"


class DomainRoutes:
    """`/api/fun-ai/app/domains`, and `/api/fun-ai/internal/gateway/domains`."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains

    def table(self) -> list[web.RouteDef]:
        """Routes for people."""
        return [
            web.get(_PATH, self.list),
            web.post(_PATH, self.add),
            web.delete(_PATH, self.remove),
            web.post(f"{_PATH}/verify", self.verify),
        ]

    def gateway_table(self) -> list[web.RouteDef]:
        """For gateways."""
        return [web.get("/api/fun-ai/internal/gateway/domains", self.verified)]

    @Answers(list[AppDomainView], refuses=(404,))
    async def list(self, request: web.Request) -> web.Response:
        """The app's claims."""
        named = query(request, OfApp)
        return reply([claim_view(claim) for claim in await self._domains.of(subject(request), named.app_id)])

    @Answers(AppDomainView, refuses=(404, 409))
    async def add(self, request: web.Request) -> web.Response:
        """Claim a host."""
        order = await read(request, DomainOfApp)
        return reply(claim_view(await self._domains.add(subject(request), order.app_id, order.host)))

    @Answers(AppDomainView, refuses=(404, 409))
    async def verify(self, request: web.Request) -> web.Response:
        """Look for the proof."""
        order = await read(request, DomainOfApp)
        return reply(claim_view(await self._domains.verify(subject(request), order.app_id, order.host)))

    @Answers(AppDomainView, refuses=(404,))
    async def remove(self, request: web.Request) -> web.Response:
        """Take a claim back."""
        named = query(request, DomainOfApp)
        return reply(claim_view(await self._domains.remove(subject(request), named.app_id, named.host)))

    @Answers(media=TEXT)
    async def verified(self, _request: web.Request) -> web.Response:
        """Lines as `funai gateway render --domains` reads them; the first says how many follow."""
        claims = await self._domains.verified()
        lines = [f"# {len(claims)} domains", *(f"{claim.host} {claim.app_id}" for claim in claims)]
        return web.Response(text="".join(f"{line}\n" for line in lines), content_type="text/plain")


def claim_view(claim: Claim) -> AppDomainView:
    """A claim, with the record that proves it."""
    return AppDomainView(
        app_id=claim.app_id,
        host=claim.host,
        verified=claim.verified_at is not None,
        record_name=claim.record,
        record_value=claim.value,
        create_time=moment(claim.created_at),
        verified_at=None if claim.verified_at is None else moment(claim.verified_at),
    )
