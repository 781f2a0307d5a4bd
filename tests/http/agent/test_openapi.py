"""The runtime agent's contract: checked in, served, and kept whatever is sent."""

from pathlib import Path

import pytest

from tests.support.openapi import cases
from tests.support.openapi.served import agent_served


async def test_the_contract_changes_only_on_purpose() -> None:
    await cases.unchanged("agent")


async def test_the_contract_is_served_and_what_it_guards_is_closed() -> None:
    async with agent_served() as served:
        await cases.shown(served)


@pytest.mark.slow
async def test_no_request_gets_an_answer_that_the_contract_lacks(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    async with agent_served() as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))
