"""The driver's pool without a server."""

import pytest

from daemons.kit.breaker import Breaker
from daemons.kit.database import DatabaseUnavailable, Lane
from daemons.kit.mysql import MysqlAddress, MysqlDriver


async def test_after_a_failure_to_connect_calls_fail_at_once_for_a_while() -> None:
    address = MysqlAddress("127.0.0.1", 1, "user", "secret", "shop")
    driver = MysqlDriver(address, sizes={Lane.COMMON: 1}, seconds=5, breaker=Breaker(3600))
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        await driver.start()
    with pytest.raises(DatabaseUnavailable, match="a moment ago"):
        await driver.start()
    await driver.close()
