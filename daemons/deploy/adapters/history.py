"""The epoch of the database's history on MariaDB and MySQL: looked at in every new connection, raised by a promotion.

A Galera cluster is one server: its nodes have one history. Any other server is known by `server_uuid` (MySQL) or
`server_id` (MariaDB), which replication requires to differ.
"""

from dataclasses import replace

from daemons.deploy.domain.history import LEAP, Found, Memory, objection, remembered
from daemons.kit.database import Connection, DatabaseUnavailable, Driver, StatementFailed, Value

_IDENTITY = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('server_id', 'server_uuid', 'wsrep_on')"
_CLUSTER = "SHOW GLOBAL STATUS LIKE 'wsrep_cluster_state_uuid'"
_ROW = (
    "SELECT epoch, server, (SELECT MAX(seq) FROM fun_ai_deploy_event) AS newest FROM fun_ai_deploy_history WHERE id = 1"
)
_ENTER = (
    "INSERT INTO fun_ai_deploy_history (id, epoch, server, raised_at) VALUES (1, 1, :server, :now) "
    "ON DUPLICATE KEY UPDATE id = id"
)
_RAISE = "UPDATE fun_ai_deploy_history SET epoch = :epoch, server = :server, raised_at = :now WHERE id = 1"
_FENCES = "UPDATE fun_ai_deploy_app SET fence = fence + :leap WHERE fence < :floor"
_HIGHEST_FENCE = "SELECT COALESCE(MAX(fence), 0) AS fence FROM fun_ai_deploy_app"


class History:
    """What one process remembers. `admit` is asked about every new connection."""

    def __init__(self) -> None:
        self._memory = Memory()

    def committed(self, event: int) -> None:
        """An event of this number was committed by this process."""
        if event > self._memory.newest:
            self._memory = replace(self._memory, newest=event)

    async def admit(self, connection: Connection) -> None:
        """Raises DatabaseUnavailable for a server that lacks what was acknowledged, or may lack it."""
        # What is committed while the server answers need not be in its answer.
        before = self._memory
        found = await _found(connection)
        if found is None:
            return
        problem = objection(before, found)
        if problem is not None:
            raise DatabaseUnavailable(problem)
        self._memory = remembered(self._memory, found)


async def enter(driver: Driver, connection: Connection) -> None:
    """Write the row of the first epoch, unless there is one."""
    now = int((await connection.execute(driver.clock)).rows[0]["now"])
    await connection.execute(driver.placeholders(_ENTER), {"server": await _identity(connection), "now": now})


async def promote(driver: Driver) -> Found:
    """Go on with the server's history under a new epoch. Fences and event numbers leap over what may have been lost, so
    that none of them is given out twice; also those of apps that this server has never heard of."""
    async with driver.migrating() as connection:
        found = await _found(connection)
        if found is None:
            raise DatabaseUnavailable("the database has no history to go on with; start the control plane on it once")
        highest = int((await connection.execute(_HIGHEST_FENCE)).rows[0]["fence"])
        floor = highest + LEAP
        await connection.execute(f"ALTER TABLE fun_ai_deploy_app ALTER COLUMN fence SET DEFAULT {floor}")
        await connection.execute(driver.placeholders(_FENCES), {"leap": floor, "floor": floor})
        await connection.execute(f"ALTER TABLE fun_ai_deploy_event AUTO_INCREMENT = {found.newest + LEAP}")
        now = int((await connection.execute(driver.clock)).rows[0]["now"])
        values: dict[str, Value] = {"epoch": found.epoch + 1, "server": found.here, "now": now}
        await connection.execute(driver.placeholders(_RAISE), values)
        return replace(found, epoch=found.epoch + 1, server=found.here)


async def _found(connection: Connection) -> Found | None:
    try:
        rows = (await connection.execute(_ROW)).rows
    except StatementFailed:
        return None
    if not rows:
        return None
    row = rows[0]
    return Found(await _identity(connection), str(row["server"]), int(row["epoch"]), int(row["newest"] or 0))


async def _identity(connection: Connection) -> str:
    variables = {row["Variable_name"]: str(row["Value"]) for row in (await connection.execute(_IDENTITY)).rows}
    if variables.get("wsrep_on") == "ON":
        return f"galera:{(await connection.execute(_CLUSTER)).rows[0]['Value']}"
    uuid = variables.get("server_uuid")
    return f"uuid:{uuid}" if uuid else f"id:{variables.get('server_id')}"
