"""The platform's gateways in front of a workspace node of a test: HAProxy and nginx, as they are configured for it."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from yarl import URL

from daemons.kit.gateway import Gateway, PreviewNode, command, install
from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.nginx_gateway import NginxGateway, render
from tests.support import real
from tests.support.workspace_node import GATEWAY_TOKEN

_NGINX: Final = """user root;
worker_processes 2;
pid {folder}/pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/workspace.conf;
}}
"""


@asynccontextmanager
async def haproxy(node_url: str, folder: Path, beside: str = "", own: OwnHosts | None = None) -> AsyncIterator[str]:
    """Its address; it asks the node at `node_url`. What is `beside` is added to the configuration."""
    node, port = URL(node_url), real.free_port()
    previews = PreviewNode(str(node.host), node.port or 80, own=own)
    gateway = Gateway("127.0.0.1", port, folder / "routes.map", folder / "admin.sock", previews=previews)
    await asyncio.to_thread(install, gateway, folder / "haproxy.cfg")
    with (folder / "haproxy.cfg").open("a") as config:
        config.write(beside)
    argv = command(real.program("haproxy", "haproxy"), gateway, folder / "haproxy.cfg")
    environment = os.environ | {"FUNAI_WORKSPACE_NGINXAUTHTOKEN": GATEWAY_TOKEN}
    with ExitStack() as stack:
        stack.enter_context(real.process(argv, folder / "haproxy.log", env=environment))
        await asyncio.to_thread(real.wait_until, lambda: real.listening(port), "the gateway's start")
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def nginx(node_url: str, folder: Path, own: OwnHosts | None = None) -> AsyncIterator[str]:
    """The same by nginx."""
    node, port = URL(node_url), real.free_port()
    gateway = NginxGateway("127.0.0.1", port, str(node.host), node.port or 80, folder / "cache", GATEWAY_TOKEN, own=own)
    await asyncio.to_thread(_configure, folder, gateway)
    program = real.program("nginx", "nginx")
    argv = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    with ExitStack() as stack:
        stack.enter_context(real.process([*argv, "-g", "daemon off;"], folder / "nginx.log"))
        await asyncio.to_thread(real.wait_until, lambda: real.listening(port), "the gateway's start")
        yield f"http://127.0.0.1:{port}"


class Serve(Protocol):
    """Either of them."""

    def __call__(
        self, node_url: str, folder: Path, *, own: OwnHosts | None = None
    ) -> AbstractAsyncContextManager[str]: ...


GATEWAYS: Final[dict[str, Serve]] = {"haproxy": haproxy, "nginx": nginx}


async def forgotten() -> None:
    """Neither gateway leads by what it was told before: that is good for a second, which nginx counts in whole ones."""
    await asyncio.sleep(2.1)


def _configure(folder: Path, gateway: NginxGateway) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "workspace.conf").write_text(render(gateway))
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder))
