"""The projects that the smoke check builds, as the runner sees them."""

import pytest

from console.cli.projects import PROJECTS, no_base_image


@pytest.mark.parametrize(
    ("message", "missing"),
    [
        ("the build failed at Step 2/9 : FROM ${BASE_IMAGE}: pull access denied\nWhat to do: ...", True),
        ("fetching the base image r:5000/n/base-node:1 failed: manifest unknown", True),
        ("the build failed: creating build container: initializing source docker://node:20-slim: refused", True),
        ("the build failed at Step 6/9 : RUN npm ci: exit code 1\nStep 1/9 : FROM node", False),
        ("deploying failed", False),
    ],
)
def test_a_base_image_that_is_not_to_be_had_is_told_from_a_build_that_failed(message: str, missing: bool) -> None:
    assert (no_base_image(message) is not None) is missing


def test_the_base_image_is_named() -> None:
    message = (
        "the build failed at Step 2/9 : FROM ${BASE_IMAGE}: refused\nLast 2 log lines:\nStep 1/9 : ARG BASE_IMAGE=go:1"
    )
    assert (no_base_image(message) or "").startswith("go:1: the build failed at Step 2/9")


@pytest.mark.parametrize("name", PROJECTS)
def test_a_project_has_its_text_and_no_dockerfile(name: str) -> None:
    files = PROJECTS[name]('the first "version"\'s text')
    assert "Dockerfile" not in files
    assert any("first" in text for text in files.values())
