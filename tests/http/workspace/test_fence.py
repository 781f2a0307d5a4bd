"""What the fence before every workspace learns from calls."""

from pathlib import Path

import httpx
import pytest

from protocol.client.signed import Signed
from protocol.workspaces import MOST_EPOCH
from tests.support.workspace_node import SECRET, new_user, node

STATUS = "/api/fun-ai/workspace/container/status"
ENSURE = "/api/fun-ai/workspace/container/ensure"


@pytest.mark.real
async def test_an_epoch_that_no_answer_can_tell_is_refused_and_not_learned(docker_url: str, tmp_path: Path) -> None:
    async with (
        node(docker_url, tmp_path) as served,
        httpx.AsyncClient(base_url=served.url, trust_env=False, auth=Signed(SECRET), timeout=60) as client,
    ):
        who = {"userId": new_user()}
        refused = await client.post(ENSURE, params={**who, "epoch": MOST_EPOCH + 1})
        assert refused.status_code == 400 and refused.json()["data"] == {"fields": ["epoch"]}
        there = await client.get(STATUS, params={**who, "epoch": MOST_EPOCH})
        assert there.status_code == 200
