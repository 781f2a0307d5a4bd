"""The git server's limits: what one peer can hold, and for how long."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.contract.test_git_server import DAEMON, GRANTS, Server, environment
from tests.support import real

pytestmark = pytest.mark.real


@contextmanager
def limited(folder: Path, **limits: str) -> Iterator[Server]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "writer")], check=True)
    (folder / "gitconfig").touch()
    port = real.free_port()
    with real.process(DAEMON, folder / "git.log", env=environment(folder, port) | limits) as child:
        real.wait_until(lambda: real.listening(port), "the git server's start")
        host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
        server = Server(folder, port, psutil.Process(child.pid))
        server.grant({"writer": GRANTS["writer"]})
        yield server


def greeting(peer: socket.socket) -> bytes:
    """What the server says first; nothing when it turned the peer away."""
    try:
        return peer.recv(100)
    except ConnectionResetError:
        return b""


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=120)


def test_a_connection_too_many_is_turned_away_until_another_leaves(tmp_path: Path) -> None:
    with limited(tmp_path, GIT_MAX_CONNECTIONS="2") as server, connect(server) as first, connect(server) as second:
        assert greeting(first).startswith(b"SSH-2.0-")
        assert greeting(second).startswith(b"SSH-2.0-")
        with connect(server) as third:
            assert greeting(third) == b""
        first.close()
        real.wait_until(lambda: server.git("ls-remote", server.url()).returncode == 0, "a free connection")


def test_whoever_does_not_log_in_is_cut_off(tmp_path: Path) -> None:
    with limited(tmp_path, GIT_LOGIN_SECONDS="0.3") as server, connect(server) as peer:
        while greeting(peer):
            continue


def test_whoever_asks_for_nothing_is_cut_off(tmp_path: Path) -> None:
    with limited(tmp_path, GIT_IDLE_SECONDS="0.3") as server:
        idle = subprocess.run([*server.ssh("writer"), "-N"], capture_output=True, text=True, timeout=120, check=False)
        assert idle.returncode == 255
        assert "Disconnected" in idle.stderr


def test_a_transfer_that_stands_still_is_ended(tmp_path: Path) -> None:
    with limited(tmp_path, GIT_TRANSFER_SECONDS="1") as server:
        argv = [*server.ssh("writer"), "git-receive-pack 'funai/u1-app20001.git'"]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as still:
            assert still.wait(90) == 128
            assert still.stderr is not None
            assert b"took too long" in still.stderr.read()
        assert server.serving() == []


def test_one_key_cannot_hold_every_connection(tmp_path: Path) -> None:
    with limited(tmp_path, GIT_MAX_CONNECTIONS="4") as server:
        argv = [*server.ssh("writer"), "git-receive-pack 'funai/u1-app20001.git'"]
        pipe = subprocess.PIPE
        with (
            subprocess.Popen(argv, stdin=pipe, stdout=pipe) as first,
            subprocess.Popen(argv, stdin=pipe, stdout=pipe) as second,
        ):
            real.wait_until(lambda: len(server.serving()) == 2, "two transfers")
            assert server.git("ls-remote", server.url()).returncode != 0
            for client in (first, second):
                client.kill()
        real.wait_until(lambda: server.git("ls-remote", server.url()).returncode == 0, "a free connection")
