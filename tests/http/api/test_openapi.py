"""The API entry's contract: checked in, served, and kept whatever is sent."""

from pathlib import Path

import pytest

from tests.support.openapi import cases
from tests.support.openapi.served import api_served, session_served


async def test_the_contract_changes_only_on_purpose() -> None:
    await cases.unchanged("api")


async def test_the_contract_is_served_and_what_it_guards_is_closed(tmp_path: Path) -> None:
    async with api_served(tmp_path) as served:
        await cases.shown(served)


@pytest.mark.slow
async def test_no_request_gets_an_answer_that_the_contract_lacks(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    async with api_served(tmp_path) as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))


async def test_no_request_of_who_logged_in_gets_an_answer_that_the_contract_lacks(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    async with session_served(tmp_path) as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))
