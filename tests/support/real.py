"""Starts the real parts that tests talk to, on ports and folders of their own, and stops exactly what it started.

Under FUNAI_REQUIRE_REAL=1 a missing part fails the test that needs it; otherwise that test is skipped, saying what
to install.
"""

import itertools
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

import pytest

from daemons.supervisor.domain.network import addresses_beside_others


def missing(part: str, install: str) -> NoReturn:
    """Fail or skip the running test for want of a real part."""
    message = f"{part} is not there; install {install}"
    if os.environ.get("FUNAI_REQUIRE_REAL") == "1":
        pytest.fail(message)
    pytest.skip(message)


def program(name: str, package: str) -> str:
    """The path of an installed program, or the end of the test."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return found or missing(name, f"the package {package}")


#: Each once before any again. None that Linux gives to outgoing connections (from 32768 on): that one could be the near
#: end of anybody's connection before who it is for listens, also of the look whether somebody listens there yet.
_PORTS: Final = itertools.cycle(random.SystemRandom().sample(range(10_000, 20_000), 10_000))


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has right now."""
    while True:
        with socket.socket() as listener, suppress(OSError):
            port = next(_PORTS)
            listener.bind(("127.0.0.1", port))
            return port


def own_address() -> str:
    """An address of this machine that is not of its loopback, or the end of the test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Asks the routing table; nothing is sent.
            probe.connect(("198.51.100.1", 9))
        except OSError:
            missing("an address other than the loopback's", "a network interface")
        address: str = probe.getsockname()[0]
        return address


def listening(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Poll a condition of another process; fails the test when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.02)


@contextmanager
def process(argv: Sequence[str], log: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A child process for the duration of the block; its output goes to `log`."""
    with log.open("wb") as output:
        child = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(90)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def docker_engine(folder: Path) -> Iterator[str]:
    """The URL of a Docker engine: the one FUNAI_TEST_DOCKER_HOST names, else a private dockerd in `folder`, or in a
    folder of FUNAI_TEST_ENGINES, where somebody looks after those whose tests were killed."""
    given = os.environ.get("FUNAI_TEST_DOCKER_HOST")
    if given:
        yield given
        return
    engines = os.environ.get("FUNAI_TEST_ENGINES")
    with private_engine(Path(tempfile.mkdtemp(dir=engines)) if engines else folder) as url:
        yield url


@contextmanager
def private_engine(
    folder: Path, number: int = 0, *, data: Path | None = None, options: Sequence[str] = ()
) -> Iterator[str]:
    """The URL of a dockerd of the test's own in `folder`; `number` tells those of one run apart.

    Its images and containers are in `data`, if that is given; `options` are further ones of dockerd.
    """
    dockerd = program("dockerd", "docker.io")
    url = f"unix://{folder}/docker.sock"
    argv = [
        dockerd,
        "--data-root",
        str(data or folder / "data"),
        "--exec-root",
        f"{folder}/exec",
        "--pidfile",
        f"{folder}/pid",
        "-H",
        url,
        *options,
    ]
    addresses = addresses_beside_others(Path("/proc/net/route").read_text(), os.getpid() + 17 * number)
    if addresses is not None:
        argv += ["--fixed-cidr", addresses]
    folder.mkdir(parents=True, exist_ok=True)
    with process(argv, folder / "dockerd.log"):
        ping = ["docker", "-H", url, "version"]
        wait_until(
            lambda: subprocess.run(ping, capture_output=True, check=False).returncode == 0,
            "the Docker engine's start",
            60,
        )
        try:
            yield url
        finally:
            # A bridge outlives the engine that made it.
            for argv in (["container", "prune", "-f"], ["network", "prune", "-f"]):
                subprocess.run(["docker", "-H", url, *argv], check=False, capture_output=True)


@contextmanager
def swarm(folder: Path) -> Iterator[str]:
    """The URL of a manager of a swarm of one machine; services get no new privileges by the daemon's own setting."""
    with private_engine(folder, 7, options=["--no-new-privileges"]) as url:
        docker = ["docker", "-H", url]
        addresses = ["--advertise-addr", "127.0.0.1", "--listen-addr", f"127.0.0.1:{free_port()}"]
        subprocess.run([*docker, "swarm", "init", *addresses], check=True, capture_output=True)
        try:
            yield url
        finally:
            subprocess.run([*docker, "swarm", "leave", "--force"], check=False, capture_output=True)
            subprocess.run([*docker, "network", "rm", "docker_gwbridge"], check=False, capture_output=True)


@contextmanager
def podman(folder: Path, registry: str) -> Iterator[str]:
    """The URL of Podman's Docker-compatible service, with a store of its own; `registry` may speak plain HTTP."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    (folder / "containers.conf").write_text(
        f'[network]\nnetwork_backend = "netavark"\n'
        f'network_config_dir = "{folder}/networks"\n[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        f'runtime = "{program("runc", "runc")}"\ninit_path = "{program("docker-init", "docker.io")}"\n'
    )
    environment = os.environ | {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
    }
    url = f"unix://{folder}/podman.sock"
    # Podman refuses a folder for what runs whose name is longer than 50 characters.
    run = Path(tempfile.mkdtemp(prefix="funai-pod-"))
    store = ["--root", f"{folder}/root", "--runroot", f"{run}/run", "--tmpdir", f"{run}/tmp"]
    argv = [program("podman", "podman"), *store, "system", "service", "--time=0", url]
    try:
        # Where it runs, its monitors leave a file `oom` when a container ran out of memory.
        with process(argv, folder / "podman.log", env=environment, cwd=folder):
            ping = ["docker", "-H", url, "version"]
            wait_until(
                lambda: subprocess.run(ping, capture_output=True, check=False).returncode == 0, "Podman's start", 60
            )
            yield url
    finally:
        _unmount(folder)
        _unmount(run)
        shutil.rmtree(run, ignore_errors=True)


def _unmount(folder: Path) -> None:
    """Whatever an engine left mounted below the folder."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in sorted((one for one in mounts if one.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


@contextmanager
def registry(folder: Path, htpasswd: str = "", auth: str = "") -> Iterator[str]:
    """`host:port` of a private Docker registry with deletion enabled; with `htpasswd` only for who is in it, with
    `auth` for whom that part of its configuration says."""
    binary = program("docker-registry", "docker-registry")
    port = free_port()
    config = folder / "registry.yml"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(
        f"version: 0.1\nlog:\n  level: warn\nhttp:\n  addr: 127.0.0.1:{port}\n"
        f"storage:\n  filesystem:\n    rootdirectory: {folder}/store\n  delete:\n    enabled: true\n"
        + (f"auth:\n  htpasswd:\n    realm: tests\n    path: {folder}/htpasswd\n" if htpasswd else auth)
    )
    (folder / "htpasswd").write_text(htpasswd)
    with process([binary, "serve", str(config)], folder / "registry.log"):
        wait_until(lambda: listening(port), "the registry's start")
        yield f"127.0.0.1:{port}"


@contextmanager
def mariadb(folder: Path, *options: str) -> Iterator[str]:
    """`mysql://root:PASSWORD@127.0.0.1:PORT` of a private MariaDB with full durability; append a database's name.

    Its process id is in the file `pid` of the folder.
    """
    server, install = program("mariadbd", "mariadb-server"), program("mariadb-install-db", "mariadb-server")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.chown(folder, "root")
    data, port = folder / "data", free_port()
    install_argv = [
        install,
        "--no-defaults",
        f"--datadir={data}",
        "--user=root",
        "--auth-root-authentication-method=normal",
    ]
    # Its temporary tables have names that others' may have, too.
    own = os.environ | {"TMPDIR": str(folder)}
    subprocess.run([*install_argv, "--skip-test-db"], check=True, capture_output=True, env=own)
    init = folder / "init.sql"
    # An init file holds one statement a line.
    init.write_text(
        "CREATE USER IF NOT EXISTS root@'127.0.0.1';\n"
        "ALTER USER root@'127.0.0.1' IDENTIFIED BY 'tests-only';\n"
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
    )
    argv = [
        server,
        "--no-defaults",
        "--user=root",
        f"--datadir={data}",
        f"--socket={folder}/sock",
        f"--port={port}",
        "--bind-address=127.0.0.1",
        f"--pid-file={folder}/pid",
        f"--init-file={init}",
        "--innodb-flush-log-at-trx-commit=1",
        "--sync-binlog=1",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        *options,
    ]
    with process(argv, folder / "mariadbd.log"):
        wait_until(lambda: listening(port), "MariaDB's start")
        yield f"mysql://root:tests-only@127.0.0.1:{port}"


def busybox_image(engine: str, name: str = "busybox:1.36") -> str:
    """Make a base image of Debian's static busybox under the name that Dockerfiles use, unless it is there."""
    docker = ["docker", "-H", engine]
    if subprocess.run([*docker, "image", "inspect", name], capture_output=True, check=False).returncode == 0:
        return name
    busybox = program("busybox", "busybox-static")
    script = (
        'set -e; root=$(mktemp -d); mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root"; '
        'cp "$1" "$root/bin/busybox"; '
        'for applet in $("$1" --list); do [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"; done; '
        'echo "root:x:0:0:root:/root:/bin/sh" > "$root/etc/passwd"; chmod 1777 "$root/tmp"; '
        'tar -C "$root" -c . ; rm -rf "$root"'
    )
    tar = subprocess.run(["bash", "-c", script, "busybox", busybox], check=True, capture_output=True).stdout
    subprocess.run([*docker, "import", "--change", 'CMD ["sh"]', "-", name], input=tar, check=True, capture_output=True)
    return name
