"""The API entry's contract: checked in, served, and kept whatever is sent."""

from pathlib import Path

import orjson
import pytest

from daemons.api.domain.forwarding import PREFIX
from daemons.api.domain.rules import RULES, Rule, forwarded
from tests.support.openapi import cases
from tests.support.openapi.places import checked_in
from tests.support.openapi.served import api_served, forwarding_served, session_served


async def test_the_contract_changes_only_on_purpose() -> None:
    await cases.unchanged("api")


def test_the_contract_and_the_table_of_rules_have_the_same_calls() -> None:
    paths = orjson.loads(checked_in("api").read_bytes())["paths"]
    found = {
        (method.upper(), path): bool(operation["security"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert found == {route: row.rule is not Rule.ANYONE for route, row in RULES.items()}


def test_all_that_a_node_has_for_people_is_passed_on_and_nothing_else() -> None:
    """What a node has for gateways, operators and other nodes is internal, or needs no signature of the API's."""
    paths = orjson.loads(checked_in("workspace").read_bytes())["paths"]
    signed = {
        (method.upper(), path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if any("signature" in scheme for scheme in operation["security"])
    }
    assert {route for route in signed if not route[1].startswith(f"{PREFIX}/internal/")} == set(forwarded())


async def test_the_contract_is_served_and_what_it_guards_is_closed(tmp_path: Path) -> None:
    async with api_served(tmp_path) as served:
        await cases.shown(served)


@pytest.mark.slow
async def test_no_request_gets_an_answer_that_the_contract_lacks(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    async with api_served(tmp_path) as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))


@pytest.mark.real
async def test_no_call_that_is_passed_on_gets_an_answer_that_the_contract_lacks(
    docker_url: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    async with forwarding_served(docker_url, tmp_path) as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))


async def test_no_request_of_who_logged_in_gets_an_answer_that_the_contract_lacks(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    async with session_served(tmp_path) as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))
