"""What the agent expects of a container's output, of its twin and of the real engine's."""

import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import pytest
from aiodocker import Docker

from daemons.agent.adapters.docker_logs import DockerOutputs
from daemons.agent.domain.output import Piece, Place, Telling
from daemons.agent.ports import Outputs
from daemons.kit.engine.errors import EngineError
from protocol.running import OutputStream
from tests.support.output_twins import TwinOutputs
from tests.support.runtime_node import docker

_NAME = f"applogs-{secrets.token_hex(3)}"
_LINES = [f"line {number}\n" for number in range(300)]
_SCRIPT = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); done; echo problem >&2; "
_LONG = 40_000
_WAITS = 'while [ ! -e /more ]; do sleep 0.05; done; printf "a\\rb\\n"; printf "%040000d\\n" 0; exec sleep 600'


@dataclass
class Bench:
    """A container that has written 300 lines and a problem, and a way to make it write a progress bar and a long
    line."""

    outputs: Outputs
    name: str
    engine: str | None

    async def write_more(self) -> None:
        if self.engine is not None:
            docker(self.engine, "exec", self.name, "touch", "/more")
        else:
            assert isinstance(self.outputs, TwinOutputs)
            await self.outputs.write(self.name, "a\rb\n", "0" * 16384, "0" * 16384, "0" * (_LONG - 32768) + "\n")

    async def all(self, since: int = 0, tail: int | None = None) -> Sequence[Piece]:
        """All that is there."""
        found: list[Piece] = []
        async with self.outputs.output(self.name, since=since, tail=tail, follow=False) as source:
            while (pieces := await source.read(5)) is not None:
                found += pieces
        return found


@pytest.fixture(scope="module")
def real_container(docker_url: str) -> Iterator[str]:
    docker(docker_url, "run", "-d", "--name", _NAME, "-e", "WORD=a=b c", "busybox:1.36", "sh", "-c", _SCRIPT + _WAITS)
    yield docker_url
    docker(docker_url, "rm", "-f", _NAME)


@pytest.fixture(params=["twin", pytest.param("docker", marks=pytest.mark.real)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "twin":
        twin = TwinOutputs()
        await twin.write(_NAME, *_LINES)
        await twin.write(_NAME, "problem\n", stream=OutputStream.STDERR)
        twin.given[_NAME] = {"WORD": "a=b c"}
        yield Bench(twin, _NAME, None)
        return
    url = request.getfixturevalue("real_container")
    async with Docker(url=url) as client:
        yield Bench(DockerOutputs(client), _NAME, url)


def said(pieces: Sequence[Piece], stream: OutputStream = OutputStream.STDOUT) -> str:
    return b"".join(piece.data for piece in pieces if piece.stream is stream).decode()


async def written(bench: Bench) -> Sequence[Piece]:
    """Everything, once the container has written it."""
    place, found = Place("r1"), list[Piece]()
    async with bench.outputs.output(bench.name, since=0, tail=None, follow=True) as source:
        while len(found) < 301:
            pieces = await source.read(10)
            assert pieces
            found += place.take(pieces)
    return found


async def test_output_is_read_with_its_streams_and_times(bench: Bench) -> None:
    pieces = await written(bench)
    assert said(pieces).startswith("".join(_LINES))
    assert said(pieces, OutputStream.STDERR) == "problem\n"
    assert pieces[0].stamp < pieces[299].stamp


async def test_the_tail_is_its_last_lines(bench: Bench) -> None:
    await written(bench)
    assert len(await bench.all(tail=3)) == 3
    assert await bench.all(tail=0) == []


async def test_a_reader_goes_on_from_any_place_without_loss_or_repetition(bench: Bench) -> None:
    before = await written(bench)
    everything = await bench.all()
    for cut in (1, 2, 150, 299, len(before)):
        place = Place("r1")
        first = list(place.take(everything[:cut]))
        cursor = place.cursor()
        assert cursor is not None
        later = Place("r1", cursor)
        rest = later.take(await bench.all(since=later.since))
        assert first + list(rest) == list(everything)


async def test_a_follower_gets_what_comes_and_waits_in_between(bench: Bench) -> None:
    await written(bench)
    telling = Telling(bench.name)
    async with bench.outputs.output(bench.name, since=0, tail=0, follow=True) as source:
        if bench.engine is None or not said(await bench.all()).endswith("x\n"):
            assert await source.read(0.05) == ()
        await bench.write_more()
        text = ""
        while len(text) < _LONG + 5:
            pieces = await source.read(10)
            assert pieces
            text += "".join(event.text for event in telling.events(pieces, None))
    assert text == "a\rb\n" + "0" * _LONG + "\n"


async def test_a_container_tells_what_it_was_given(bench: Bench) -> None:
    assert (await bench.outputs.variables(bench.name))["WORD"] == "a=b c"
    with pytest.raises(EngineError, match="nobody"):
        await bench.outputs.variables("nobody")


async def test_output_of_no_container_is_an_error(bench: Bench) -> None:
    with pytest.raises(EngineError, match="could not read the output of container nobody"):
        async with bench.outputs.output("nobody", since=0, tail=None, follow=False):
            pass
