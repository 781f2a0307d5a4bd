"""Which node's gateway has an app. Gateways ask it all the time, so it is one statement."""

from daemons.deploy.domain.nodes import ServingNode
from daemons.deploy.domain.upstreams import Upstreams
from daemons.deploy.ports import Store, Transaction
from daemons.deploy.services.apps import AppNotPlaced


class Ways:
    """Reads alone: a visit places nothing."""

    def __init__(self, store: Store, upstreams: Upstreams) -> None:
        self._store = store
        self._upstreams = upstreams

    async def to(self, app_id: str) -> tuple[str, str]:
        """`host:port` of the gateway and the node's name. Raises AppNotPlaced and NotReachable."""

        async def work(tx: Transaction) -> ServingNode | None:
            return await tx.serving_node(app_id)

        node = await self._store.transact(work)
        if node is None:
            raise AppNotPlaced(app_id)
        return self._upstreams.of(node), node.name
