"""Where the pieces of the node hang their routes and loops."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from daemons.kit.auth import Access, Gate
from daemons.kit.tasks import Loop, background
from daemons.workspace.http.signed import Signer
from daemons.workspace.settings import WorkspaceSettings


@dataclass(frozen=True, slots=True)
class Wiring:
    """The node's application, who may call what of it, and what it was told."""

    app: web.Application
    access: Access
    signer: Signer
    settings: WorkspaceSettings

    def serve(self, *tables: Sequence[web.RouteDef]) -> None:
        """For the API entry, whose calls are proven before their handlers run."""
        self._add(tables, self.signer.gate())

    def serve_bodies(self, *tables: Sequence[web.RouteDef]) -> None:
        """For the API entry; the handlers read bodies that prove themselves at their end."""
        self._add(tables, self.signer.body_gate())

    def serve_gateway(self, *tables: Sequence[web.RouteDef], gate: Gate) -> None:
        """For the node's gateway."""
        self._add(tables, gate)

    def serve_anybody(self, *tables: Sequence[web.RouteDef]) -> None:
        """Without any proof."""
        self._add(tables)

    def loop(self, *loops: Loop) -> None:
        """They run while the application does."""
        self.app.cleanup_ctx.append(background(*loops))

    def _add(self, tables: Sequence[Sequence[web.RouteDef]], *gates: Gate) -> None:
        for table in tables:
            self.app.add_routes(self.access.routes(table, *gates))
