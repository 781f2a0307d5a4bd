"""Databases for contract tests: SQLite in memory, SQLite in a file, MariaDB. Each test gets an empty one."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest

_number = itertools.count(1)


@pytest.fixture
def mysql_url(mariadb_url: str) -> Iterator[str]:
    """An empty database on the real MariaDB."""
    parts = urlsplit(mariadb_url)
    name = f"contract_{next(_number)}"
    server = pymysql.connect(
        host=parts.hostname, port=parts.port or 0, user=parts.username, password=parts.password or "", autocommit=True
    )
    with server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield f"{mariadb_url}/{name}"
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture(params=["memory", "file", pytest.param("mariadb", marks=pytest.mark.real)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "memory":
        return "sqlite:///:memory:"
    if request.param == "file":
        return f"sqlite:///{tmp_path}/contract.db"
    url: str = request.getfixturevalue("mysql_url")
    return url
