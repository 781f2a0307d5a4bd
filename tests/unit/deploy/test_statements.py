"""Statements that exist twice, for one row and for many, say the same."""

import re
from pathlib import Path

import pytest

from daemons.deploy.adapters import store
from daemons.deploy.adapters.grouped import RULES
from daemons.kit.lockstep import Lookup
from daemons.kit.sql import load_queries
from daemons.kit.statements import repeated

QUERIES = load_queries(Path(store.__file__).parent / "sql" / "queries")


def parameters(statement: str) -> set[str]:
    return set(re.findall(r"(?<!:):([a-z_]+)", statement))


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_what_is_done_for_many_takes_what_is_done_for_one(dialect: str) -> None:
    statements = QUERIES.texts[dialect]
    for query, rule in RULES.items():
        for_many = statements[rule.together or query]
        if isinstance(rule, Lookup):
            assert parameters(for_many) == parameters(statements[query]) - {rule.column} | {"keys"}, query
        else:
            assert parameters(for_many) == parameters(statements[query]), query
            assert ":was_version_1" in repeated(for_many, 2) if rule.together else repeated(for_many, 2).count("_1")


@pytest.mark.parametrize("dialect", ["mysql", "sqlite"])
def test_saving_many_jobs_sets_every_column(dialect: str) -> None:
    one, many = QUERIES.texts[dialect]["save_job"], QUERIES.texts[dialect]["save_jobs"]
    written = one[: one.index("WHERE")]
    assert set(re.findall(r"(\w+)\s+=\s+:\1", written)) == set(re.findall(r"(\w+)\s+=\s+v\.\1", many)) - {"id"}
