"""What the agent expects of a process on a terminal, of the twin's and of the real engine's."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from aiodocker import Docker

from daemons.agent.adapters.docker_terminal import DockerTerminals
from daemons.agent.domain.shell import MARK, Run
from daemons.agent.ports import Terminal, Terminals
from daemons.kit.engine.errors import EngineError
from tests.support.runtime_node import docker
from tests.support.terminal_twins import TwinTerminals

_NAME = f"applogs-{secrets.token_hex(3)}"


@dataclass
class Bench:
    """A container to open terminals in."""

    terminals: Terminals
    engine: str | None

    def left(self, mark: str) -> int:
        """How many processes of the shell with this mark run."""
        if self.engine is not None:
            script = f"grep -lxz {MARK}={mark} /proc/[0-9]*/environ 2>/dev/null | wc -l"
            return int(docker(self.engine, "exec", _NAME, "sh", "-c", script))
        assert isinstance(self.terminals, TwinTerminals)
        return sum(not each.over for each in self.terminals.opened if each.run.variables[MARK] == mark)


@pytest.fixture(scope="module")
def real_container(docker_url: str) -> Iterator[str]:
    options = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--init", "--user", "1000")
    docker(docker_url, "run", "-d", "--name", _NAME, *options, "busybox:1.36", "sleep", "600")
    yield docker_url
    docker(docker_url, "rm", "-f", _NAME)


@pytest.fixture(params=["twin", pytest.param("docker", marks=pytest.mark.real)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "twin":
        yield Bench(TwinTerminals(there=lambda name: name == _NAME), None)
        return
    url = request.getfixturevalue("real_container")
    async with Docker(url=url) as client:
        yield Bench(DockerTerminals(client), url)


def a_run(mark: str, *command: str) -> Run:
    return Run(command, {"TERM": "xterm", MARK: mark}, 101, 33)


async def until(terminal: Terminal, *words: str) -> str:
    """What is written until all words were."""
    text = ""
    async with asyncio.timeout(60):
        while not all(word in text for word in words):
            data = await terminal.read()
            assert data, f"it ended after {text!r}"
            text += data.decode()
    return text


async def test_a_shell_has_its_size_takes_another_and_tells_its_exit_code(bench: Bench) -> None:
    async with bench.terminals.open(_NAME, a_run("m1", "sh"), "m1") as terminal:
        await terminal.write(b"stty size\n")
        await until(terminal, "33 101\r\n")
        await terminal.resize(120, 50)
        await terminal.write(b"stty size\n")
        await until(terminal, "50 120\r\n")
        await terminal.write(b"exit 3\n")
        async with asyncio.timeout(60):
            while await terminal.read():
                pass
        assert await terminal.exit_code() == 3
        await terminal.write(b"too late\n")
        await terminal.resize(80, 24)
    assert bench.left("m1") == 0


async def test_leaving_ends_it_and_what_it_left_behind(bench: Bench) -> None:
    async with bench.terminals.open(_NAME, a_run("m2", "sh"), "m2") as terminal:
        await terminal.write(b"sleep 501 &\nsleep 500\n")
        await until(terminal, "sleep 500")
        assert bench.left("m2") >= 1
        assert await terminal.exit_code() is None
    assert bench.left("m2") == 0


async def test_what_writes_for_ever_is_ended_too(bench: Bench) -> None:
    async with bench.terminals.open(_NAME, a_run("m3", "yes"), "m3") as terminal:
        assert b"y\r\n" in await terminal.read()
    assert bench.left("m3") == 0


async def test_a_command_that_is_not_there_ends_with_a_code(bench: Bench) -> None:
    async with bench.terminals.open(_NAME, a_run("m4", "no-such-command"), "m4") as terminal:
        async with asyncio.timeout(60):
            while await terminal.read():
                pass
        assert await terminal.exit_code() in (126, 127)


async def test_what_another_agent_left_is_ended_and_what_is_ours_is_spared(bench: Bench) -> None:
    async with (
        bench.terminals.open(_NAME, a_run("old-1", "sh"), "old-1") as left,
        bench.terminals.open(_NAME, a_run("new-1", "sh"), "new-1") as ours,
    ):
        await left.write(b"sleep 500\n")
        await until(left, "sleep 500")
        await bench.terminals.tidy(_NAME, "new-")
        assert (bench.left("old-1"), bench.left("new-1")) == (0, 1)
        await ours.write(b"stty size\n")
        await until(ours, "33 101\r\n")
    await bench.terminals.tidy("nobody", "new-")


async def test_a_container_that_is_not_there_is_an_error(bench: Bench) -> None:
    with pytest.raises(EngineError, match="program in container nobody"):
        async with bench.terminals.open("nobody", a_run("m5", "sh"), "m5"):
            pass
