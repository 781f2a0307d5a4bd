"""What a `pre` migration may do: the previous release works on after it, so it only adds."""

import re
from pathlib import Path

import pytest

from daemons.kit.sql import read_migrations
from tests.migrations.test_deploy_schema import FOLDER

_ADDS = (
    r"CREATE TABLE IF NOT EXISTS \w+ ",
    r"CREATE (UNIQUE )?INDEX (IF NOT EXISTS )?\w+ ON ",
    r"ALTER TABLE \w+ ADD COLUMN ",
    r"INSERT ",
    r"UPDATE ",
    r"SET @\w+ = ",
    r"PREPARE \w+ FROM @\w+$",
    r"EXECUTE \w+$",
    r"DEALLOCATE PREPARE \w+$",
)
_TAKES_AWAY = re.compile(
    r"\b(DROP (TABLE|COLUMN|PRIMARY KEY|FOREIGN KEY)|RENAME|MODIFY|CHANGE COLUMN|TRUNCATE|DELETE FROM)\b", re.IGNORECASE
)
#: A column of which the previous release knows nothing must be filled for the rows that it goes on writing.
_DEMANDING = re.compile(r"ADD COLUMN (?!IF)(?:(?!, ADD|\bADD COLUMN\b).)*?\bNOT NULL\b(?:(?!ADD COLUMN).)*", re.DOTALL)


def pre(dialect: str) -> list[tuple[str, str]]:
    migrations = read_migrations(FOLDER / "migrations", dialect)
    return [
        (each.name, " ".join(text.split())) for each in migrations if "_pre_" in each.name for text in each.statements
    ]


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_it_takes_nothing_away(dialect: str) -> None:
    assert [(name, text) for name, text in pre(dialect) if _TAKES_AWAY.search(text)] == []


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_a_new_column_is_optional_or_has_a_default(dialect: str) -> None:
    demanding = [
        (name, column)
        for name, text in pre(dialect)
        for column in _DEMANDING.findall(text)
        if "DEFAULT" not in column and "GENERATED" not in column
    ]
    assert demanding == []


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_every_statement_is_one_that_adds(dialect: str) -> None:
    unknown = [(name, text) for name, text in pre(dialect) if not any(re.match(adds, text) for adds in _ADDS)]
    assert unknown == []


def test_the_rules_refuse_what_they_are_for(tmp_path: Path) -> None:
    assert _TAKES_AWAY.search("ALTER TABLE a DROP COLUMN b")
    assert _DEMANDING.findall("ALTER TABLE a ADD COLUMN b INT NOT NULL") != []
    assert _DEMANDING.findall("ALTER TABLE a ADD COLUMN b INT NULL") == []
