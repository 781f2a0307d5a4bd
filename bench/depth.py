"""What a claim costs when the tables are long, on MariaDB: a million ended jobs and ten thousand that wait, against a
thousand of each.

The rows are written straight into two databases of one server, spread over users and apps; each has a control plane of
its own. Then one runner claims jobs one after the other and ends them, in turns from the one and from the other; only
the claims are timed.
"""

import asyncio
import time
from contextlib import ExitStack

import uvloop
from pymysql.cursors import Cursor

from bench.figures import Figure, median, percentile, show
from bench.load import Load, load_on
from bench.servers import Mariadb, control_plane, mariadb

LONG, SHORT = (1_000_000, 10_000), (1_000, 1_000)
CLAIMS = 300
USERS = 2000
#: How much longer a claim may take over the long tables.
MOST = 1.5
_BUFFER_POOL = "--innodb-buffer-pool-size=1G"

_ENDED = """
INSERT INTO fun_ai_deploy_job (
    id, type, status, app_id, user_id, payload_json, attempt, fence, runner_id, not_before, started_at, finished_at,
    phase, log_length, create_time, update_time, version, queue_rank
)
SELECT CONCAT_WS('-', LPAD(LOWER(HEX(seq)), 8, '0'), '0000', '4000', '8000', LEFT(MD5(seq), 12)),
    'BUILD_AND_DEPLOY', 'SUCCEEDED', CONCAT('old-', seq MOD 20000),
    seq MOD %(users)s, %(payload)s, 1, 1, CONCAT('r', seq MOD 200), 0, %(now)s - 86400000 + seq,
    %(now)s - 86390000 + seq, 'DONE', 4096, %(now)s - 86400000 + seq, %(now)s - 86390000 + seq, 4,
    %(now)s - 86400000 + seq
FROM seq_%(first)s_to_%(last)s
"""
_APPS = "INSERT INTO fun_ai_deploy_app (app_id, fence) SELECT CONCAT('new-', seq), 0 FROM seq_1_to_%(last)s"
_PENDING = """
INSERT INTO fun_ai_deploy_job (
    id, type, status, app_id, user_id, payload_json, attempt, not_before, log_length, create_time, update_time, version,
    queue_rank
)
SELECT CONCAT_WS('-', LPAD(LOWER(HEX(seq)), 8, '0'), '0001', '4000', '8000', LEFT(MD5(seq), 12)),
    'BUILD_AND_DEPLOY', 'PENDING', CONCAT('new-', seq),
    seq MOD %(users)s, REPLACE(%(payload)s, 'APP', CONCAT('new-', seq)), 0, 0, 0, %(now)s - 60000 + seq,
    %(now)s - 60000 + seq, 0, %(now)s - 60000 + seq
FROM seq_1_to_%(last)s
"""
_PAYLOAD = '{"userId": "1", "appId": "APP", "image": "busybox:1.36", "basePath": "/apps/APP", "containerPort": 3000}'
_PIECE = 100_000


async def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with ExitStack() as stack:
        server = stack.enter_context(mariadb(_BUFFER_POOL))
        planes = []
        for name, (ended, pending) in (("short_tables", SHORT), ("long_tables", LONG)):
            url = server.database(name)
            planes.append(stack.enter_context(control_plane(url)))
            fill(server, name, ended, pending)
        async with load_on(planes[0]) as short, load_on(planes[1]) as long:
            times = await claims(short, long)
    few, many = times
    rows = f"{LONG[0]:,} ended and {LONG[1]:,} waiting jobs"
    peer = ("ms", f"over {SHORT[0]:,} and {SHORT[1]:,}")
    return show(
        "a claim over long tables, on MariaDB",
        [
            Figure(f"claim over {rows}, median", median(many), *peer, median(few), MOST),
            Figure(f"claim over {rows}, p95", percentile(many, 0.95), *peer, percentile(few, 0.95), MOST),
        ],
    )


async def claims(*loads: Load) -> list[list[float]]:
    """Milliseconds of each claim, by load."""
    times: list[list[float]] = [[] for _ in loads]
    for number in range(-CLAIMS // 10, CLAIMS):
        for load, found in zip(loads, times, strict=True):
            began = time.perf_counter()
            job = await load.claim("bench")
            if not job:
                raise SystemExit("no job was handed out although thousands wait")
            # The first ones warm up what is read.
            if number >= 0:
                found.append((time.perf_counter() - began) * 1000)
            await load.report("bench", job)
    return times


def fill(server: Mariadb, database: str, ended: int, pending: int) -> None:
    """Write so many jobs of each kind."""
    values = {"users": USERS, "payload": _PAYLOAD, "now": int(time.time() * 1000)}
    with server.connect(database) as connection, connection.cursor() as cursor:
        for first in range(1, ended + 1, _PIECE):
            last = min(ended, first + _PIECE - 1)
            execute(cursor, _ENDED, values | {"first": first, "last": last})
        execute(cursor, _APPS, {"last": pending})
        execute(cursor, _PENDING, values | {"last": pending})
        cursor.execute("ANALYZE TABLE fun_ai_deploy_job, fun_ai_deploy_app")


def execute(cursor: Cursor, statement: str, values: dict[str, object]) -> None:
    """Run and commit one statement."""
    cursor.execute(statement, values)
    cursor.connection.commit()


if __name__ == "__main__":
    uvloop.install()
    raise SystemExit(asyncio.run(main()))
