"""Databases for contract tests: SQLite in memory, SQLite in a file, MariaDB. Each test gets an empty one."""

from pathlib import Path

import pytest


@pytest.fixture(params=["memory", "file", pytest.param("mariadb", marks=pytest.mark.real)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "memory":
        return "sqlite:///:memory:"
    if request.param == "file":
        return f"sqlite:///{tmp_path}/contract.db"
    url: str = request.getfixturevalue("mysql_url")
    return url
