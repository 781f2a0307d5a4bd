"""What the platform's entry costs: a small answer of an app by nginx and by HAProxy as they are rendered, with
a real control plane that says where the app is. Needs `wrk`, nginx and HAProxy.

- direct: the app's server, which does nothing else;
- bare: a proxy of the same kind before it, without rules and questions;
- entry: the rendered entry before it, which asks where the app is (an answer is good for a second);
- asking: the same by nginx, which keeps no answer, so that each request asks;
- entry and node: the entry, and behind it the node's gateway, by HAProxy and by nginx as they are rendered.

All share this machine's processors with the client, so only ratios within one run say something. Each way is asked in
turn; medians of the rounds count. What HAProxy logs is thrown away: nginx logs nothing here.
"""

import asyncio
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Figure, median, show
from bench.gateway import ANSWER, ECHO
from bench.servers import child, free_port, wait_for
from daemons.kit.nginx_entry import Limits
from tests.support import entries
from tests.support.entries import World
from tests.support.gateways import RunningNginx, nginx_argv, nginx_configured

ROUNDS, SECONDS, CONNECTIONS = 5, 1, 16
#: Behind the node's gateway; behind nginx as that; and where the entry leads straight to the app.
NODE, LINKS, STRAIGHT = "7", "8", "9"
#: At most so many times what a bare proxy of its kind takes, and its slowest hundredth: busy machines have a margin.
MOST_ENTRY, MOST_LATE = 2.0, 5.0
#: At most so many times what the direct way takes.
MOST_DIRECT: Final = 25.0
#: The same where connections are kept on the whole way, which HAProxy does.
MOST_KEPT: Final = 8.0
#: What nginx's entry keeps answers with.
_KEEPS: Final = "        proxy_cache funai_ways;\n"
_BARE_NGINX: Final = """server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{app};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
    }}
}}
"""
_BARE_HAPROXY: Final = """
frontend bare
    bind 127.0.0.1:{port}
    default_backend bare

backend bare
    server app 127.0.0.1:{app}
"""
_LATENCY: Final = re.compile(r"^\s+(50|99)%\s+([0-9.]+)(us|ms|s)$", re.MULTILINE)
_MILLISECONDS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True, slots=True)
class Taken:
    """Of one round: requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float


async def measure(folder: Path) -> list[Figure]:
    """All figures."""
    figures: list[Figure] = []
    for kind in ("nginx", "haproxy"):
        async with AsyncExitStack() as stack:
            app = await stack.enter_async_context(_app(folder / kind))
            world = await stack.enter_async_context(_world(kind, folder / kind))
            await _placed(world, app, stack, folder / kind)
            bare = await stack.enter_async_context(_bare(kind, app, folder / kind / "bare"))
            ways = {} if kind == "haproxy" else {"asking": await _asking(world, stack, folder / kind)}
            ways |= {
                "direct": f"http://127.0.0.1:{app}/",
                "bare": f"http://127.0.0.1:{bare}/",
                "entry": f"{world.url}/runtime/{STRAIGHT}/",
                "entry and node": f"{world.url}/runtime/{NODE}/",
                "entry and node by nginx": f"{world.url}/runtime/{LINKS}/",
            }
            figures += _figures(kind, await _rounds(ways))
    return figures


@asynccontextmanager
async def _app(folder: Path) -> AsyncIterator[int]:
    """The port of an app that does nothing but answer."""
    port, config = free_port(), folder / "app.cfg"
    await asyncio.to_thread(_written, config, ECHO + ANSWER.format(name="a", port=port))
    with child([_program("haproxy"), "-db", "-f", str(config)], {}) as process:
        wait_for(port, process)
        yield port


@asynccontextmanager
async def _world(kind: str, folder: Path) -> AsyncIterator[World]:
    """All visitors are one address here."""
    await asyncio.to_thread(_unlogged, folder / "entry")
    most = 1_000_000
    changes = {"limits": Limits(most, most, 60_000)} if kind == "nginx" else {"rate": most, "connections": 60_000}
    async with entries.world(entries.ENTRIES[kind], folder, **changes) as world:
        yield world


def _written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _unlogged(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "haproxy.log").symlink_to("/dev/null")


async def _asking(world: World, stack: AsyncExitStack, folder: Path) -> str:
    """The address of the app by an entry that keeps no answer."""
    port, site = free_port(), (folder / "entry" / "site.conf").read_text()
    if _KEEPS not in site:
        raise SystemExit("the rendered entry keeps answers in another way than this benchmark knows")
    site = site.replace(_KEEPS, "").replace(world.url.removeprefix("http://"), f"127.0.0.1:{port}")
    nginx_configured(folder / "asking", site.replace(str(folder / "entry" / "cache"), str(folder / "asking" / "cache")))
    wait_for(port, stack.enter_context(child(nginx_argv(folder / "asking"), {})))
    return f"http://127.0.0.1:{port}/runtime/{STRAIGHT}/"


async def _placed(world: World, app: int, stack: AsyncExitStack, folder: Path) -> None:
    """The app came up on a node behind either gateway, and on one that reports the app's own address."""
    links = RunningNginx(folder / "links", ("127.0.0.1",))
    process = stack.enter_context(child(nginx_argv(folder / "links"), {}))
    wait_for(links.port, process)
    for app_id, node, url in (
        (NODE, "n1", world.nodes["n1"].url),
        (LINKS, "links", links.url),
        (STRAIGHT, "straight", f"http://127.0.0.1:{app}"),
    ):
        world.ids[node] = (await world.plane.beat(node, gatewayBaseUrl=url)).id.value
        world.nodes.setdefault(node, world.nodes["n1"])
        await world.deployed(app_id, on=node)
    await world.nodes["n1"].driver.route(NODE, app)
    await links.driver.route(LINKS, app)


@asynccontextmanager
async def _bare(kind: str, app: int, folder: Path) -> AsyncIterator[int]:
    """The port of a proxy without rules."""
    port = free_port()
    if kind == "nginx":
        nginx_configured(folder, _BARE_NGINX.format(port=port, app=app))
        argv = nginx_argv(folder)
    else:
        text = ECHO.replace("    nbthread 1\n", "") + _BARE_HAPROXY.format(port=port, app=app)
        await asyncio.to_thread(_written, folder / "haproxy.cfg", text)
        argv = (_program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg"))
    with child(argv, {}) as process:
        wait_for(port, process)
        yield port


async def _rounds(ways: Mapping[str, str]) -> Mapping[str, Taken]:
    taken: dict[str, list[Taken]] = {way: [] for way in ways}
    for number in range(ROUNDS + 1):
        for way, url in ways.items():
            found = await asyncio.to_thread(_asked, url)
            # The first round wakes everything up.
            if number:
                taken[way].append(found)
    return {
        way: Taken(*(median([getattr(one, name) for one in found]) for name in ("rate", "p50", "p99")))
        for way, found in taken.items()
    }


def _asked(url: str) -> Taken:
    """As wrk counts them. Raises SystemExit when one was not answered well."""
    argv = [_program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", url]
    output = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"requests of {url} failed:\n{output}")
    found = {share: float(number) * _MILLISECONDS[unit] for share, number, unit in _LATENCY.findall(output)}
    return Taken(float(output.partition("Requests/sec:")[2].split()[0]), found["50"], found["99"])


def _figures(kind: str, taken: Mapping[str, Taken]) -> list[Figure]:
    """As ratios of which at most so much may be: a rate is what the peer has more of."""
    direct, bare, entry = taken["direct"], taken["bare"], taken["entry"]
    figures = [
        Figure("bare proxy, requests/s", bare.rate, "/s", f"{kind} entry", entry.rate, MOST_ENTRY),
        Figure(f"{kind} entry, p50", entry.p50, "ms", "bare proxy", bare.p50, MOST_ENTRY),
        Figure(f"{kind} entry, p99", entry.p99, "ms", "bare proxy", bare.p99, MOST_LATE),
    ]
    if "asking" in taken:
        # With an answer that is good for a second there is more than without.
        figures.append(Figure("... asking each time, requests/s", taken["asking"].rate, "/s", "entry", entry.rate, 1.0))
    for way in ("bare", "entry", "entry and node", "entry and node by nginx"):
        found = taken[way]
        most = MOST_KEPT if kind == "haproxy" and way == "entry and node" else MOST_DIRECT
        figures += [
            Figure("direct, requests/s", direct.rate, "/s", f"{kind}: {way}", found.rate, most),
            Figure(f"{kind}: {way}, p50", found.p50, "ms", "direct", direct.p50, MOST_DIRECT),
            Figure(f"{kind}: {way}, p99", found.p99, "ms", "direct", direct.p99, MOST_DIRECT),
        ]
    return figures


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if found is None:
        raise SystemExit(f"{name} is not installed; install the package {name}")
    return found


def main() -> int:
    """Measure and print; exit code 0 if every limit held."""
    with tempfile.TemporaryDirectory(prefix=f"funai-{secrets.token_hex(2)}-") as name:
        return show("the entry", asyncio.run(measure(Path(name))))


if __name__ == "__main__":
    raise SystemExit(main())
