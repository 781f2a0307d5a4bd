"""Which builder is used, and what a Dockerfile's text tells."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.runner.adapters.cgroups import Limits
from daemons.runner.domain.builders import BuilderKind, NoBuilder, choose_builder
from daemons.runner.domain.dockerfile import base_images

AUTO, ENGINE, BUILDAH = BuilderKind.AUTO, BuilderKind.ENGINE, BuilderKind.BUILDAH


@pytest.mark.parametrize(
    ("wanted", "engine", "buildah", "registry", "chosen", "words"),
    [
        (AUTO, None, None, "r:5000", ENGINE, "the engine answers"),
        (AUTO, "no socket", None, "r:5000", BUILDAH, r"does not answer \(no socket\), and buildah works"),
        (AUTO, "no socket", None, "", ENGINE, "without ACR_REGISTRY"),
        (AUTO, "no socket", "tar is not installed", "r:5000", ENGINE, "tar is not installed"),
        (ENGINE, "no socket", None, "r:5000", ENGINE, "RUNNER_BUILDER says so"),
        (BUILDAH, None, None, "r:5000", BUILDAH, "RUNNER_BUILDER says so"),
    ],
)
def test_a_builder_is_chosen_for_a_reason(
    wanted: BuilderKind, engine: str | None, buildah: str | None, registry: str, chosen: BuilderKind, words: str
) -> None:
    found = choose_builder(wanted, {ENGINE: engine, BUILDAH: buildah}, registry=registry)
    assert found.kind is chosen
    assert re.search(words, found.why)


@pytest.mark.parametrize(("problem", "registry"), [("it is not installed", "r:5000"), (None, "")])
def test_a_builder_that_cannot_be_used_is_refused_by_name(problem: str | None, registry: str) -> None:
    with pytest.raises(NoBuilder, match=r"RUNNER_BUILDER=buildah cannot be used: (it is not|without ACR_REGISTRY)"):
        choose_builder(BUILDAH, {ENGINE: None, BUILDAH: problem}, registry=registry)


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM busybox:1.36\nRUN x\n", ("busybox:1.36",)),
        ("ARG BASE_IMAGE=r:5000/n/base-node:1\nFROM ${BASE_IMAGE}", ("r:5000/n/base-node:1",)),
        ('arg B="a:1"\nfrom $B as build\nFROM Build\nFROM c:2', ("a:1", "c:2")),
        ("ARG B=a:1\nARG GIVEN\nFROM $B\nFROM $GIVEN\n", ("a:1", "given:3")),
        ("FROM --platform=$BUILDPLATFORM a:1\nFROM scratch\n", ("a:1",)),
        ("FROM ${B:-a}\nFROM $UNKNOWN\nRUN FROM x\n", ()),
        ("FROM a:1\nARG B=b:2\nFROM $B\n", ("a:1",)),
    ],
)
def test_base_images_are_those_that_are_written_down(text: str, images: tuple[str, ...]) -> None:
    assert base_images(text, {"GIVEN": "given:3"}) == images


@given(st.text())
def test_any_text_has_base_images(text: str) -> None:
    base_images(text, {})


def test_limits_in_both_layouts_of_control_groups() -> None:
    limits = Limits(memory_bytes=1024, cpus=1.5, processes=64)
    assert limits.second_layout() == {
        "memory.max": "1024",
        "memory.swap.max": "0",
        "cpu.max": "150000 100000",
        "pids.max": "64",
    }
    assert list(limits.first_layout()) == ["memory", "cpu", "pids"]
    assert Limits().first_layout() == {} == Limits().second_layout()
