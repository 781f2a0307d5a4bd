"""The driver's pool without a server."""

import pytest

from daemons.kit import mysql
from daemons.kit.database import DatabaseUnavailable
from daemons.kit.mysql import MysqlAddress, MysqlDriver


async def test_after_a_failure_to_connect_calls_fail_at_once_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "_REST_AFTER_FAILURE_SECONDS", 3600.0)
    driver = MysqlDriver(MysqlAddress("127.0.0.1", 1, "user", "secret", "shop"), size=1, seconds=5)
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        await driver.start()
    with pytest.raises(DatabaseUnavailable, match="a moment ago"):
        await driver.start()
    await driver.close()
