"""What the gateway costs, on a HAProxy of its own with the platform's configuration and 10,000 routes. Needs `wrk`.

- a switch, from the agent's call to the first answer of the new target, against 5 ms; and until the call returns, which
  is when the switch is durable, against the same bytes made durable alone;
- requests per second through map, counters and limit per app, against a static backend of the same process with the
  same header rules and access log; and against one with neither rules nor a path to strip, for comparison.
"""

import asyncio
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.figures import Figure, median, percentile, show
from bench.reference import rescaled, slowness
from bench.servers import child, echo, free_port, wait_for
from daemons.agent.adapters.haproxy import HaproxyGateway
from daemons.kit.durable import replace_file
from daemons.kit.gateway import Gateway, command, install

ROUTES = 10_000
SWITCHES = 400
ROUNDS = 7
ROUND_SECONDS = 2
CONNECTIONS = 32
APP = "5000"

#: An app that does nothing but answer, so that the gateway is what is measured.
ECHO = """
global
    maxconn 2000
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
"""
ANSWER = """
frontend {name}
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string {name}
"""
_FRONTEND = """
frontend {name}
    bind 127.0.0.1:{port}
    default_backend {name}

backend {name}
"""
#: What makes the backend of apps dynamic.
_DYNAMIC = ("track-sc", "sc0_conn_cur", "set-dst", "stick-table", "server app", "set-timeout")


@dataclass(frozen=True, slots=True)
class Bench:
    """A gateway with two apps behind it, and a static way past its rules."""

    driver: HaproxyGateway
    map_path: Path
    port: int
    static: int
    bare: int
    targets: tuple[int, int]


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """Both HAProxies for the block."""
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if haproxy is None:
        raise SystemExit("haproxy is not installed")
    port, static, bare, targets = free_port(), free_port(), free_port(), (free_port(), free_port())
    names = ("a", "b")
    answers = "".join(ANSWER.format(name=name, port=target) for name, target in zip(names, targets, strict=True))
    (folder / "apps.cfg").write_text(ECHO + answers)
    gateway = Gateway("127.0.0.1", port, folder / "routes.map", folder / "admin.sock")
    config = folder / "haproxy.cfg"
    gateway.map_path.write_text("".join(f"{app} 127.0.0.1:{targets[0]}\n" for app in range(ROUTES)))
    install(gateway, config)
    config.write_text(_with_static(config.read_text(), {"static": static, "bare": bare}, targets[0]))
    with ExitStack() as stack:
        for argv, listens in (
            ([haproxy, "-db", "-f", str(folder / "apps.cfg")], targets[1]),
            (command(haproxy, gateway, config), static),
        ):
            wait_for(listens, stack.enter_context(child(argv, {})))
        yield Bench(
            HaproxyGateway(gateway.map_path, gateway.socket_path), gateway.map_path, port, static, bare, targets
        )


def _with_static(config: str, ports: Mapping[str, int], target: int) -> str:
    """The configuration with two ways past its routes: with the rules that apply to any request, and without."""
    apps = config.partition("backend apps\n")[2].partition("\nbackend ")[0]
    rules = [line for line in apps.splitlines() if not any(word in line for word in _DYNAMIC)]
    server = f"    server app 127.0.0.1:{target}\n"
    config += _FRONTEND.format(name="static", port=ports["static"]) + "\n".join(rules) + f"\n{server}"
    return config + _FRONTEND.format(name="bare", port=ports["bare"]) + server


async def switches(running: Bench) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from the agent's call until a visitor got the new target, until the call returned, durable, and of
    the same durable file alone."""
    live, told, bare = [], [], []
    content = running.map_path.read_bytes()
    for number in range(SWITCHES):
        which = (number + 1) % 2
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            seen = group.create_task(_seen(running.port, b"ab"[which : which + 1]))
            await running.driver.route(APP, running.targets[which])
            told.append((time.perf_counter() - began) * 1000)
        live.append((seen.result() - began) * 1000)
        began = time.perf_counter()
        await asyncio.to_thread(replace_file, running.map_path.with_name("bare"), content)
        bare.append((time.perf_counter() - began) * 1000)
    return live, told, bare


async def _seen(port: int, name: bytes) -> float:
    """When one kept-alive connection that asks without a pause was first answered by this target."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b""
    while body != name:
        writer.write(f"GET /runtime/{APP}/ HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(1)
    writer.close()
    return time.perf_counter()


async def measured_slowness() -> float:
    """How many times slower this machine is than the one of the limits."""
    with echo() as bare:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            return await slowness(session, bare)


def throughput(running: Bench) -> list[Figure]:
    """Requests per second through the routes and past them, in turn."""
    rates: dict[int, list[float]] = {running.static: [], running.port: [], running.bare: []}
    for _ in range(ROUNDS):
        for port, found in rates.items():
            found.append(requests_per_second(f"http://127.0.0.1:{port}/runtime/{APP}/"))
    static, routed, bare = (median(found) for found in rates.values())
    # As ratios of which at most so much may be: the gateway has at least 0.9 of the peer.
    return [
        Figure("static backend, requests/s", static, "/s", "routed, requests/s", routed, 1 / 0.9),
        Figure("... without any rule, requests/s", bare, "/s", "routed, requests/s", routed, 1.5),
    ]


def requests_per_second(url: str) -> float:
    """As wrk counts them. Raises SystemExit when one was not answered well."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is not installed; install the package wrk")
    argv = [wrk, "-t1", f"-c{CONNECTIONS}", f"-d{ROUND_SECONDS}s", url]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"requests failed:\n{output}")
    return float(output.partition("Requests/sec:")[2].split()[0])


def figures(live: Sequence[float], told: Sequence[float], bare: Sequence[float]) -> list[Figure]:
    """Of the switches."""
    return [
        Figure(f"switch live, {ROUTES} routes, median", median(live), "ms", "limit", 5, 1.0),
        Figure(f"switch live, {ROUTES} routes, p99", percentile(live, 0.99), "ms", "limit", 5, 1.0),
        Figure("agent's call, durable, median", median(told), "ms", "such a file alone", median(bare), 4),
    ]


def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with tempfile.TemporaryDirectory(prefix=f"funai-{secrets.token_hex(2)}-") as name, bench(Path(name)) as running:
        found = figures(*asyncio.run(switches(running)))
        slower = asyncio.run(measured_slowness())
        found += [rescaled(figure, slower) for figure in found if figure.peer == "limit"]
        found += throughput(running)
    return show("gateway", found)


if __name__ == "__main__":
    raise SystemExit(main())
