"""Which builder is used, and what a Dockerfile's text tells."""

import re
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemons.runner.adapters.buildah import half_made, made_before
from daemons.runner.adapters.cgroups import Limits
from daemons.runner.domain.builders import BuilderKind, NoBuilder, choose_builder
from daemons.runner.domain.dockerfile import base_images, images_by_id, images_of_others, unread_images

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
        ("FROM ${B:-a:9}\nFROM $UNKNOWN\nFROM ${B:+a}\nRUN FROM x\n", ("a:9",)),
        ("FROM \\\n# why\n  a:1\nCOPY --from=b:2 / /\n", ("a:1",)),
        ("FROM a:1\nARG B=b:2\nFROM $B\n", ("a:1",)),
        ("ARG B=--authfile=/x\nFROM $B\nFROM --authfile=/x\nFROM -v AS x\nFROM a;b\n", ()),
    ],
)
def test_base_images_are_those_that_are_written_down(text: str, images: tuple[str, ...]) -> None:
    assert base_images(text, {"GIVEN": "given:3"}) == images


OWN = "r:5000/n/u1-app7"


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("FROM r:5000/n/u2-app9:latest\n", ("r:5000/n/u2-app9:latest",)),
        ("ARG X=u2-app9\nFROM n/${X}\n", ("n/u2-app9",)),
        ("FROM ${Y:-n/u2-app9@sha256:aa}\n", ("n/u2-app9@sha256:aa",)),
        ("FROM a\nCOPY --from=r:5000/n/u2-app9:1 / /\n", ("r:5000/n/u2-app9:1",)),
        ("FROM a\nRUN --mount=type=bind,from=n/u2-app9,target=/x true\n", ("n/u2-app9",)),
        ("FROM \\\n n/u2-app9\n", ("n/u2-app9",)),
        (f"FROM {OWN}:latest AS old\nCOPY --from=old / /\n", ()),
        ("FROM r:5000/n/base-node:1\nCOPY --from=0 / /\n", ()),
        ("FROM a AS u2-app9\nFROM u2-app9\n", ()),
    ],
)
def test_images_of_other_apps_are_found(text: str, others: tuple[str, ...]) -> None:
    assert images_of_others(text, {}, OWN) == others


#: Each of these was built from the other app's image by an engine.
HIDDEN = [
    "# a comment \\\nFROM n/u2-app9\n",
    "RUN a \\\n  # b\nFROM n/u2-app9\n",
    "FRO\\\nM n/u2-app9\n",
    "FROM n/u2-a\\\npp9\n",
    "# escape=`\nFROM `\n n/u2-app9\n",
    "\ufeffFROM n/u2-app9\n",
    "ARG A=u2-app9 B=1\nFROM n/$A\n",
    "ARG X='u2-app9'\nFROM n/$X\n",
    "FROM --a=b --platform=x n/u2-app9\n",
    "FROM\\\n n/u2-app9 AS\\\n x\n",
]
UNREAD = [
    "ARG X=1\nFROM n/u2-${X:+app9}\n",
    "ARG X=u2-app9x\nFROM n/${X%x}\n",
    'FROM "n/u2-app9"\n',
    "FROM 'n/u2-app9' AS x\n",
    "FROM n/u2-\\app9\n",
    "ARG Y\nARG X=${Y:-u2-app9}\nFROM n/$X\n",
    "ARG X=u2-\\app9\nFROM n/${X}\n",
    'FROM a\nCOPY --from="n/u2-app9" / /\n',
    "FROM a\nRUN --mount=type=bind,from='n/u2-app9',target=/x true\n",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_no_way_of_writing_hides_an_image(text: str) -> None:
    assert "n/u2-app9" in images_of_others(text, {}, OWN)


@pytest.mark.parametrize("text", UNREAD)
def test_names_that_only_a_build_resolves_are_told(text: str) -> None:
    assert unread_images(text, {}) and not images_of_others(text, {}, OWN)


@pytest.mark.parametrize(
    "text",
    [
        "FROM --platform=$BUILDPLATFORM node:20 AS build\nCOPY --from=build --chown=1:1 /a /b\n",
        'ARG V=20\nARG REG="r:5000" NS=n\nFROM ${REG}/${NS}/node:${V}-slim\nRUN x --from=$(y) "from=z"\n',
        "FROM python:3\nRUN python - <<EOF\nfrom os import path\nEOF\n",
        'FROM a\nRUN psql -c "select 1 \\\n  FROM users WHERE a"\n',
        "FROM a\nRUN --mount=type=cache,target=/root/.npm npm ci\n",
    ],
)
def test_what_people_write_is_read(text: str) -> None:
    assert unread_images(text, {}) == ()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("FROM 3f2a91bc\n", ("3f2a91bc",)),
        ("ARG X=sha256:3F2a\nFROM $X\n", ("sha256:3F2a",)),
        ("FROM a AS b\nFROM b\n", ("a",)),
        ("FROM base\nCOPY --from=94cd5612f20 / /\nCOPY --from=0 / /\n", ("94cd5612f20",)),
        ("FROM base\nRUN --mount=type=bind,from=12345678901,target=/x true\n", ("12345678901",)),
        ("FROM ada:latest\nFROM n/ada\nFROM busybox@sha256:aa\nFROM scratch\n", ()),
    ],
)
def test_what_may_be_the_id_of_an_image_is_found(text: str, ids: tuple[str, ...]) -> None:
    assert images_by_id(text, {}) == ids


@given(
    st.text()
    | st.lists(st.sampled_from(["FROM ", "ARG ", "$", "{", "}", "X", "=", "\n", "\\", "--from=", " AS "])).map("".join)
)
def test_any_text_names_images(text: str) -> None:
    assert set(images_of_others(text, {"X": "n/u2-app9"}, OWN)) <= {"n/u2-app9"} | set(
        base_images(text, {"X": "n/u2-app9"})
    )


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


def test_working_containers_are_told_by_when_they_were_made(tmp_path: Path) -> None:
    made = {"a": "2026-01-01T10:00:00.123456789Z", "b": "2026-01-01T10:00:02Z"}
    assert made_before(tmp_path, datetime.now(UTC)) == []
    (tmp_path / "containers.json").write_bytes(orjson.dumps([{"id": i, "created": at} for i, at in made.items()]))
    assert made_before(tmp_path, datetime(2026, 1, 1, 10, 0, 1, tzinfo=UTC)) == ["a"]


def test_names_of_half_made_layers_are_found_and_no_others(tmp_path: Path) -> None:
    assert half_made(tmp_path) == []
    making = f"docker.io/library/{'ab' * 32}-tmp:latest"
    names: list[list[str] | None] = [
        ["localhost/funai-kept/u1:newest", making],
        ["docker.io/library/x-tmp:latest"],
        None,
    ]
    (tmp_path / "images.json").write_bytes(orjson.dumps([{"id": "i", "names": each} for each in names]))
    assert half_made(tmp_path) == [making]
