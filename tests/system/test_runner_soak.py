"""Synthetic jobs through runners that are killed, while orders are cancelled and the registry dies and comes back.

`python -m tests.runner_soak` does the same with a thousand.
"""

from pathlib import Path

import pytest

from tests.support.synthetic import Scale, soak

pytestmark = [pytest.mark.real, pytest.mark.slow]
_SCALE = Scale(
    jobs=24,
    seed=5,
    builders=("engine", "buildah"),
    at_once=12,
    lease_seconds=8,
    kill_seconds=5.0,
    outage_seconds=5.0,
    longest_outage=2.0,
    patience_seconds=120.0,
)


@pytest.mark.timeout(600)
async def test_no_job_is_lost_or_doubled_and_nothing_is_left(docker_url: str, real_parts: Path) -> None:
    verdict = await soak(_SCALE, real_parts / "soak", docker_url, lambda _: None)
    assert verdict.problems == [], verdict.told
