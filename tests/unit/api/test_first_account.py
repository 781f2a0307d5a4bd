"""`python -m daemons.api users add`, as an operator runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemons.api.adapters.passwords import Argon2Passwords
from daemons.api.adapters.sql.accounts import SqlAccounts
from daemons.api.adapters.sql.stores import QUERIES
from daemons.api.ports.accounts import Match
from daemons.kit.sql import open_database
from protocol.accounts import Role
from tests.unit.api.test_settings import GOOD

PASSWORD = "correct horse battery staple"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, **GOOD, "API_DB_URL": f"sqlite:///{tmp_path}/api.db"}


def add(environment: dict[str, str], *arguments: str, said: str = "") -> tuple[int, str, str]:
    argv = [sys.executable, "-m", "daemons.api", "users", "add", *arguments]
    ended = subprocess.run(argv, env=environment, input=said, capture_output=True, text=True, timeout=120, check=False)
    assert PASSWORD not in ended.stdout + ended.stderr
    return ended.returncode, ended.stdout.splitlines()[-1] if ended.stdout else "", ended.stderr


async def test_the_first_admin_is_made_without_anybody_there(environment: dict[str, str], tmp_path: Path) -> None:
    code, told, _ = add(environment, "Root", "--role", "admin", said=f"{PASSWORD}\nand more\n")
    assert (code, told) == (0, "user 2, root, admin"), "the first id is the demo user's"
    (tmp_path / "password").write_text(f"{PASSWORD}\r\n")
    file = "--password-file", str(tmp_path / "password")
    assert add(environment, "demo", "--user-id", "1", *file)[:2] == (0, "user 1, demo, user")
    async with open_database(environment["API_DB_URL"], QUERIES) as database:
        passwords, found = Argon2Passwords(), await SqlAccounts(database).named("root")
        demo = await SqlAccounts(database).named("demo")
        assert found is not None and demo is not None and found[0].role is Role.ADMIN
        assert await passwords.check(found[1], PASSWORD) is await passwords.check(demo[1], PASSWORD) is Match.YES
        await passwords.close()


def test_what_is_wrong_is_told_and_nothing_is_made(environment: dict[str, str]) -> None:
    assert add(environment, "root", said="short\n")[0] == 1
    code, _, told = add(environment, "a b", said=PASSWORD)
    assert code == 1 and "the name must be" in told
    assert add(environment, "root", "--user-id", "99", said=PASSWORD)[0] == 1
    assert add(environment, "root", PASSWORD)[0] == 2, "a password is no argument"
    assert add(environment, "root", said=PASSWORD)[:2] == (0, "user 2, root, user")
    code, _, told = add(environment, "ROOT", said=PASSWORD)
    assert code == 1 and "there is an account of this name" in told
