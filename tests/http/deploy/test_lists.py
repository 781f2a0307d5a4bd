"""Lists of any length: pages that miss and repeat nothing, and reads whose cost does not grow with the tables."""

import itertools
from collections.abc import Iterator

import pymysql
import pytest

from daemons.deploy.adapters.store import open_store
from protocol.client.transport import Refused
from protocol.jobs import JobStatus, JobView
from tests.http.deploy.plane import NOWHERE, Plane, serving
from tests.http.deploy.test_access import ID, routes
from tests.http.deploy.test_stream_replicas import connected

_number = itertools.count(1)
ROWS = 30_000
#: Far below the rows, above what the largest page (the snapshot's) and the loops of an idle control plane read.
MOST_READ = 10_000

QUERIES = {
    "GET /deploy/jobs": ["?limit=200", "?cursor=", "?cursor=&userId=7", "?cursor=&status=SUCCEEDED"],
    "GET /deploy/jobs/by-app": ["?appId=a7"],
    "GET /admin/audit": ["", "?actor=nobody", "?subject=a7"],
    "GET /admin/runtime-nodes/placements": ["?nodeId=1"],
    "GET /internal/gateway/runtime": ["?appId=a1"],
    "GET /deploy/apps/{app_id}/mongo/doc": ["?collection=things&id=a"],
}


async def every(plane: Plane, limit: int, **wanted: object) -> list[JobView]:
    found, cursor = list[JobView](), None
    while True:
        page = await plane.api.page(cursor=cursor, limit=limit, **wanted)  # type: ignore[arg-type]
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_a_list_is_read_page_by_page_while_it_grows() -> None:
    async with serving() as plane:
        made = [(await plane.create(f"a{number}", userId=str(1 + number % 2))).id for number in range(25)]
        first = await plane.api.page(limit=10)
        later = (await plane.create("later")).id
        rest = list[JobView]()
        cursor = first.next_cursor
        while cursor is not None:
            page = await plane.api.page(cursor=cursor, limit=4)
            rest += page.items
            cursor = page.next_cursor
        assert sorted(job.id for job in (*first.items, *rest)) == sorted(made)
        assert {job.id for job in await every(plane, 7)} == {*made, later}
        assert all(job.waiting_for is not None for job in first.items)


async def test_a_list_is_of_one_app_user_or_state() -> None:
    async with serving() as plane:
        for number in range(6):
            await plane.create(f"a{number}", userId=str(1 + number % 2))
        gone = await plane.api.cancel((await plane.api.newest(1))[0].id)
        assert [job.id for job in await every(plane, 2, status=JobStatus.CANCELLED)] == [gone.id]
        assert len(await every(plane, 2, status=JobStatus.PENDING)) == 5
        assert {job.app_id for job in await every(plane, 2, user_id="1")} == {"a0", "a2", "a4"}
        assert [job.app_id for job in await every(plane, 2, app_id="a3")] == ["a3"]
        assert await every(plane, 2, app_id="a3", user_id="1") == []
        assert len(await every(plane, 1, user_id=gone.user_id, status=JobStatus.PENDING)) == 2


async def test_existing_clients_get_the_array_they_know() -> None:
    async with serving() as plane:
        await plane.create("a1")
        data = (await plane.call("GET", "/deploy/jobs?limit=5", role="api")).json()["data"]
        assert isinstance(data, list) and len(data) == 1


@pytest.mark.parametrize("query", ["cursor=x", "cursor=MTIz", "cursor=&status=DONE", "cursor=&appId=A_B", "cursor=%00"])
async def test_what_is_no_cursor_or_filter_is_refused(query: str) -> None:
    async with serving() as plane:
        answer = await plane.call("GET", f"/deploy/jobs?{query}", role="api")
        assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request")


async def test_a_snapshot_says_when_there_is_more() -> None:
    async with serving() as plane:
        await plane.create("a1")
        assert (await plane.admin.snapshot()).more is False
        with pytest.raises(Refused):
            await plane.api.page(cursor="nonsense")


@pytest.fixture
def long_tables(mariadb_url: str) -> Iterator[str]:
    """A database to be filled."""
    name = f"lists_{next(_number)}"
    with connected(mariadb_url) as server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


def fill(cursor: pymysql.cursors.Cursor) -> None:
    cursor.execute(
        "INSERT INTO fun_ai_deploy_job (id, type, status, app_id, user_id, payload_json, attempt, not_before,"
        " log_length, create_time, update_time, version)"
        " SELECT CONCAT('00000000-0000-0000-0000-', LPAD(seq, 12, '0')), 'BUILD_AND_DEPLOY', 'SUCCEEDED',"
        " CONCAT('a', seq DIV 10), CONCAT('', seq DIV 50),"
        ' CONCAT(\'{"userId":"\', seq DIV 50, \'","appId":"a\', seq DIV 10, \'"}\'), 1, 0, 0,'
        f" 1700000000000 + seq, 1700000000000 + seq, 1 FROM seq_1_to_{ROWS}"
    )
    cursor.execute(
        "INSERT INTO fun_ai_deploy_event (create_time, kind, action, subject, actor, body_json)"
        f" SELECT UNIX_TIMESTAMP() * 1000, 'app', 'x', CONCAT('a', seq), 'test', 'null' FROM seq_1_to_{ROWS}"
    )
    cursor.execute(
        "INSERT INTO fun_ai_deploy_app_run (app_id, last_deployed_at, create_time, update_time)"
        f" SELECT CONCAT('a', seq), 1, 1, 1 FROM seq_1_to_{ROWS}"
    )
    cursor.execute(
        "INSERT INTO fun_ai_deploy_release (app_id, number, user_id, job_id, image, config_hash, payload_json, pinned,"
        " held_until, create_time) SELECT 'a1', seq, '1', CONCAT('j', seq), 'x:1', '', '{}', 0, 0, 1"
        f" FROM seq_1_to_{ROWS}"
    )
    cursor.execute("ANALYZE TABLE fun_ai_deploy_job, fun_ai_deploy_event, fun_ai_deploy_app_run, fun_ai_deploy_release")


def rows_read(cursor: pymysql.cursors.Cursor) -> int:
    """Rows that the server has read so far, for whomever."""
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read%'")
    return sum(int(value) for name, value in cursor.fetchall() if name != "Handler_read_retry")


@pytest.mark.real
@pytest.mark.timeout(600)
async def test_no_read_costs_more_because_the_tables_are_long(long_tables: str) -> None:
    async with open_store(long_tables) as store:
        with connected(long_tables) as server, server.cursor() as cursor:
            fill(cursor)
            server.commit()
        async with serving(store) as plane:
            await plane.beat(agentBaseUrl=NOWHERE)
            costs = await cost_of_every_read(plane, long_tables)
    assert {route: cost for route, cost in costs.items() if cost > MOST_READ} == {}


async def cost_of_every_read(plane: Plane, url: str) -> dict[str, int]:
    """How many rows the server reads for each route, and for each query of those that have some."""
    costs = dict[str, int]()
    with connected(url) as server, server.cursor() as cursor:
        for route in sorted(routes(plane.app) - {"GET /admin/events"}):
            method, path = route.split(" ")
            if method != "GET":
                continue
            filled = path.replace("{job_id}", ID).replace("{app_id}", "a1").replace("{name}", "n1")
            filled = filled.replace("{number}", "1").replace("{drain_id}", "1")
            role = "gateway" if path.startswith("/internal/gateway/") else "admin"
            for query in QUERIES.get(route, [""]):
                found = []
                for _ in range(3):  # the least of them: a loop of the control plane may read beside one
                    before = rows_read(cursor)
                    answer = await plane.call(method, filled + query, role=role)
                    # What a node tells of itself and of databases, and there is none.
                    away = answer.status_code in (502, 503) and answer.json()["reason"] == "peer_failed"
                    assert answer.status_code in (200, 404) or away, (route, answer.text)
                    found.append(rows_read(cursor) - before)
                costs[route + query] = min(found)
    return costs
