"""The real parts that the other tests stand on start and answer."""

import subprocess

import httpx
import pytest

pytestmark = pytest.mark.real


def test_engine_runs_the_base_image(docker_url: str) -> None:
    argv = ["docker", "-H", docker_url, "run", "--rm", "busybox:1.36", "echo", "alive"]
    assert subprocess.run(argv, capture_output=True, check=True, text=True).stdout == "alive\n"


def test_registry_speaks_its_protocol(registry_host: str) -> None:
    assert httpx.get(f"http://{registry_host}/v2/").status_code == 200


def test_database_is_durable(mariadb_url: str) -> None:
    port = mariadb_url.rsplit(":", 1)[1]
    query = "select @@innodb_flush_log_at_trx_commit, @@sync_binlog"
    argv = ["mariadb", "-h127.0.0.1", f"-P{port}", "-uroot", "-ptests-only", "-N", "-e", query]
    assert subprocess.run(argv, capture_output=True, check=True, text=True).stdout.split() == ["1", "1"]
