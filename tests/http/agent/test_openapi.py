"""The runtime agent's contract: checked in, served, and kept whatever is sent."""

from pathlib import Path

import pytest

from tests.support.openapi import cases


async def test_the_contract_changes_only_on_purpose() -> None:
    await cases.unchanged("agent")


async def test_the_contract_is_served_and_what_it_guards_is_closed(tmp_path: Path) -> None:
    await cases.shown("agent", tmp_path)


async def test_no_request_gets_an_answer_that_the_contract_lacks(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    await cases.kept("agent", tmp_path, request.config.getoption("--fuzzed"))
