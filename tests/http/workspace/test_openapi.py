"""The workspace node's contract: checked in, served, and kept whatever is sent."""

from pathlib import Path

import pytest

from tests.support.openapi import cases
from tests.support.openapi.served import workspace_served


async def test_the_contract_changes_only_on_purpose() -> None:
    await cases.unchanged("workspace")


@pytest.mark.real
async def test_the_contract_is_served_and_what_it_guards_is_closed(docker_url: str, tmp_path: Path) -> None:
    async with workspace_served(docker_url, tmp_path) as served:
        await cases.shown(served)


@pytest.mark.slow
@pytest.mark.real
async def test_no_request_gets_an_answer_that_the_contract_lacks(
    docker_url: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    async with workspace_served(docker_url, tmp_path) as served:
        await cases.kept(served, tmp_path, pytestconfig.getoption("--fuzzed"))
