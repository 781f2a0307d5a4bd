"""Puts together what the node does in moves of workspaces, and the fence that keeps people out meanwhile."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from daemons.workspace.adapters.confined import Confinement
from daemons.workspace.adapters.copies import DiskCopies
from daemons.workspace.composition.outside import Parts
from daemons.workspace.composition.services import Services
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.http.moves import MoveRoutes
from daemons.workspace.services.moves import Inner, Moves, Outside
from daemons.workspace.services.visits import Visits

MOVES: Final = web.AppKey("moves", Moves)


def add_moves(wiring: Wiring, parts: Parts, services: Services, visits: Visits) -> None:
    """The routes of moves, and the sweep of what restorations left."""
    settings = wiring.settings
    confined = Confinement.of_this_kernel(settings.uid)
    copies = DiskCopies(parts.homes, confined, settings.state_root / "moves")
    inner = Inner(services.runs, services.admission, visits)
    moves = Moves(services.workspaces, inner, Outside(parts.containers, parts.homes, copies))
    routes = MoveRoutes(moves, parts.homes, wiring.signer)
    wiring.serve(routes.table())
    wiring.serve_bodies(routes.body_table())

    async def recover(_app: web.Application) -> None:
        await moves.recover()

    async def closing(_app: web.Application) -> AsyncIterator[None]:
        yield
        copies.close()

    wiring.app.on_startup.append(recover)
    # Its first sweep is at the start.
    wiring.loop(moves.run)
    wiring.app[MOVES] = moves
    wiring.app.cleanup_ctx.append(closing)
