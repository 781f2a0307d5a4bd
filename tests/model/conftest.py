"""Schedules have an event loop of their own, in which SQLite answers in the same step: the guard would take offence."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def loop_guard() -> Iterator[None]:
    """No guard here."""
    yield
