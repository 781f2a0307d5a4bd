"""Addresses that apps have beside `/runtime/{appId}/`, over the API's parts: slugs and hosts of their own."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from daemons.api.adapters.sql.domains import SqlDomains
from daemons.api.domain.domains import DomainLimit, DomainTaken, NotProven, UnknownDomain
from daemons.api.domain.slugs import SlugReserved, SlugTaken
from daemons.api.http.domains import DomainRoutes
from daemons.api.http.slugs import SlugRoutes
from daemons.api.ports import AppStore
from daemons.api.ports.domains import DomainProofs, ProofsUnreachable
from daemons.api.services.apps import Apps
from daemons.api.services.domains import Domains
from daemons.api.services.ownership import Ownership
from daemons.api.services.slugs import Slugs
from daemons.kit.clock import Clock
from daemons.kit.problems import Problems
from daemons.kit.sql import Database
from protocol.errors import ErrorReason

ADDRESS_PROBLEMS: Final[Problems] = {
    SlugTaken: (409, ErrorReason.ALREADY_EXISTS),
    SlugReserved: (400, ErrorReason.INVALID_REQUEST),
    UnknownDomain: (404, ErrorReason.NOT_FOUND),
    DomainTaken: (409, ErrorReason.ALREADY_EXISTS),
    DomainLimit: (409, ErrorReason.ALREADY_EXISTS),
    NotProven: (409, ErrorReason.NOT_PROVEN),
    ProofsUnreachable: (503, ErrorReason.UNAVAILABLE),
}


@dataclass(frozen=True, slots=True)
class AddressHolders:
    """Who knows apps, and who is asked whose a host is."""

    database: Database
    store: AppStore
    apps: Apps
    ownership: Ownership
    proofs: DomainProofs


def add_addresses(app: web.Application, holders: AddressHolders, clock: Clock) -> None:
    """Their routes. To be called last: a slug takes what no other route does."""
    domains = Domains(SqlDomains(holders.database), holders.proofs, holders.ownership)
    slugs = Slugs(holders.store, holders.apps, holders.ownership, clock)
    routes = DomainRoutes(domains)
    app.add_routes([*routes.table(), *routes.gateway_table(), *SlugRoutes(slugs).table()])
