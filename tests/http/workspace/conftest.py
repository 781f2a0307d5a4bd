"""A node with files, for every test of its routes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.workspace_calls import FilesNode, files_node


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[FilesNode]:
    async with files_node(tmp_path) as node:
        yield node
        await eventually(lambda: asyncio.to_thread(lambda: node.leftovers() == []))
