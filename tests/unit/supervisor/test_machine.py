"""The adapters, on this machine's files, ports and processes."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daemons.kit.settings import Misconfigured
from daemons.supervisor.adapters import folder
from daemons.supervisor.adapters.output import Output
from daemons.supervisor.adapters.probe import NetworkProbe
from daemons.supervisor.adapters.processes import OsProcesses
from daemons.supervisor.domain.network import Ports
from daemons.supervisor.ports import Child
from daemons.supervisor.settings import Layout
from tests.support import real


def script(name: str, text: str) -> Child:
    return Child(name, (sys.executable, "-c", text), dict(os.environ), "tcp://127.0.0.1:1")


def test_secrets_and_keys_are_made_once_and_private(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    with folder.locked(layout):
        first = folder.prepare(layout, Ports())
        second = folder.prepare(layout, Ports.starting_at(30000))
    assert first == second
    assert all(len(secret) >= 43 for secret in first.values())
    private = (layout.credentials, layout.demo_key, layout.runner_key, layout.git_host_key)
    assert {oct(path.stat().st_mode & 0o777) for path in private} == {"0o600"}
    assert layout.known_hosts.read_text().startswith("[127.0.0.1]:30004 ssh-ed25519 ")


def test_a_loosened_credentials_file_is_tightened(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    with folder.locked(layout):
        folder.prepare(layout, Ports())
        layout.credentials.chmod(0o644)
        folder.prepare(layout, Ports())
    assert layout.credentials.stat().st_mode & 0o777 == 0o600


def test_nothing_in_the_data_folder_is_for_others(tmp_path: Path) -> None:
    """Also when the folder was there before, with the mode that folders usually have."""
    environ = {**os.environ, "FUNAI_DATA_DIR": str(tmp_path), "FUNAI_PORT_BASE": "80"}
    argv = [sys.executable, "-m", "daemons.supervisor"]
    assert subprocess.run(argv, env=environ, capture_output=True, timeout=120, check=False).returncode == 78
    assert "--port-base 80" in (tmp_path / "logs" / "up.log").read_text()
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []


def test_a_short_name_is_not_laid_where_others_can_change_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path / "runtime"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr("daemons.supervisor.settings._runtime_folder", lambda: shared)
    layout = Layout(tmp_path / ("long" * 20))
    with folder.locked(layout), pytest.raises(Misconfigured, match="only you can write to"):
        folder.prepare(layout, Ports())
    shared.chmod(0o755)
    with folder.locked(layout):
        folder.prepare(layout, Ports())
    assert layout.short.resolve() == layout.root


def test_two_supervisors_do_not_share_a_folder(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "data")
    refused = pytest.raises(Misconfigured, match=rf"already running from .* \(process {os.getpid()}\)")
    with folder.locked(layout), refused, folder.locked(layout):
        pytest.fail("a second lock was given")


def test_a_taken_port_is_found() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert folder.taken(Ports(git=listener.getsockname()[1], agent=real.free_port())).count("git") == 1


def test_lines_are_prefixed_and_kept_in_a_capped_file(tmp_path: Path) -> None:
    shown = io.BytesIO()
    output = Output(tmp_path, shown, file_bytes=100)
    for number in range(40):
        output.line("git", f"line {number:02}".encode())
    output.close()
    assert shown.getvalue().splitlines()[0] == b"git     | line 00"
    assert (tmp_path / "git.log").read_text().endswith("line 39\n")
    assert (tmp_path / "git.log").stat().st_size <= 108
    assert (tmp_path / "git.log.1").exists()


def test_a_terminal_that_went_away_stops_nothing(tmp_path: Path) -> None:
    shown = io.BytesIO()
    output = Output(tmp_path, shown)
    shown.close()
    output.line("git", b"still written")
    output.close()
    assert (tmp_path / "git.log").read_text() == "still written\n"


async def test_output_and_exit_code_of_a_child(tmp_path: Path) -> None:
    output = Output(tmp_path, io.BytesIO())
    async with asyncio.TaskGroup() as group:
        processes = OsProcesses(tmp_path, output, group)
        text = "import sys; print('x' * 200_000); sys.stderr.write('no line end'); sys.exit(7)"
        process = await processes.start(script("deploy", text))
        assert await process.wait() == 7
    await asyncio.to_thread(output.close)
    lines = (tmp_path / "deploy.log").read_text().splitlines()
    assert sum(line.count("x") for line in lines) == 200_000
    assert lines[-1].endswith("no line end")


async def test_a_killed_child_takes_its_group_along(tmp_path: Path) -> None:
    output = Output(tmp_path, io.BytesIO())
    async with asyncio.TaskGroup() as group:
        processes = OsProcesses(tmp_path, output, group)
        text = (
            "import subprocess, sys, time; child = subprocess.Popen(['sleep', '60']); "
            "open('pid', 'w').write(str(child.pid)); print('up', flush=True); time.sleep(60)"
        )
        process = await processes.start(script("runner", text))
        await asyncio.to_thread(real.wait_until, lambda: (tmp_path / "runner.log").exists(), "the child's start")
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        grandchild = int((tmp_path / "pid").read_text())
        await asyncio.to_thread(real.wait_until, lambda: not alive(grandchild), "the grandchild's end")
    await asyncio.to_thread(output.close)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    program = f"""
import asyncio, io, os, sys
from pathlib import Path
from daemons.supervisor.adapters.output import Output
from daemons.supervisor.adapters.processes import OsProcesses
from daemons.supervisor.ports import Child
async def main():
    folder = Path({str(tmp_path)!r})
    async with asyncio.TaskGroup() as group:
        processes = OsProcesses(folder, Output(folder, io.BytesIO()), group)
        process = await processes.start(Child("git", ("sleep", "60"), dict(os.environ), ""))
        print(process.pid, flush=True)
        await process.wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert alive(pid)
        supervisor.kill()
        supervisor.wait()
        real.wait_until(lambda: not alive(pid), "the child's end")


async def test_a_probe_says_what_stands_in_the_way() -> None:
    port = real.free_port()
    assert "nobody accepts connections" in str(await NetworkProbe().problem(f"tcp://127.0.0.1:{port}"))
    assert "no answer" in str(await NetworkProbe().problem(f"http://127.0.0.1:{port}/internal/ready"))
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        assert await NetworkProbe().problem(f"tcp://127.0.0.1:{port}") is None
