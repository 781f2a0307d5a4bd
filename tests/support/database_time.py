"""The clock of a database that a test sets forward, so that nobody waits for moments that lie ahead.

For databases of which one process alone asks the time, by `Session.now` and `Database.now`.
"""

from daemons.kit.sql import Database


def let_pass(database: Database, seconds: float) -> None:
    """So many seconds pass for whoever asks the database's clock through this process's connections."""
    driver = database.driver
    driver.clock = f"SELECT now + {int(seconds * 1000)} AS now FROM ({driver.clock}) AS clock"
