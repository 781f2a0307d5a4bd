"""The gateway port over Traefik's file provider: one document, replaced whole.

Traefik does not say when it has read it, nor what is in flight, cannot keep requests waiting and has no pages of
ours; where the port needs one of these, this driver waits the longest time or says that it cannot. Traefik must run in
the host's network, because apps are published on 127.0.0.1 alone.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from daemons.agent.domain.traefik import document
from daemons.agent.domain.visitors import InFlight, Notice, Patience
from daemons.agent.ports import GatewayError
from daemons.kit.durable import replace_file

_ADDRESS: Final = "127.0.0.1"


class TraefikGateway:
    """`path` is a `.yml` file that Traefik watches (JSON is YAML); `settle_seconds` is how long it may take to act on
    it: `providersThrottleDuration`, by default 2 s, and what loading takes."""

    def __init__(self, path: Path, settle_seconds: float) -> None:
        self._path = path
        self._settle_seconds = settle_seconds
        self._lock = asyncio.Lock()

    async def route(self, app_id: str, port: int) -> None:
        """The document is replaced; whoever drains the former port waits for Traefik to have read it."""
        async with self._lock:
            await self._write(await self._read() | {app_id: _target(port)})

    async def hold(self, app_id: str) -> None:
        """Raises GatewayError: Traefik fails requests of an app without a server."""
        raise GatewayError(
            f"requests of app {app_id} cannot be kept waiting by Traefik: "
            "set RUNTIME_GATEWAY_DRIVER=haproxy for apps that must stop before their next version starts"
        )

    async def remove(self, app_id: str) -> None:
        """Raises GatewayError."""
        async with self._lock:
            before = await self._read()
            if app_id in before:
                await self._write({app: target for app, target in before.items() if app != app_id})

    async def announce(self, app_id: str, notice: Notice | None) -> None:
        """Nothing: Traefik answers with its own words."""

    async def in_flight(self, port: int) -> int:
        """Raises GatewayError."""
        raise GatewayError(f"Traefik does not tell what is in flight to port {port}")

    async def drain(self, port: int, patience: Patience) -> InFlight:
        """The whole patience, because nobody knows what is left."""
        longest = max(patience.requests_seconds, patience.streams_seconds)
        await asyncio.sleep(self._settle_seconds + longest)
        return InFlight()

    async def reconcile(self, routes: Callable[[], Mapping[str, int | None]]) -> int:
        """Raises GatewayError. An app on hold keeps no route."""
        async with self._lock:
            wanted = {app_id: _target(port) for app_id, port in routes().items() if port is not None}
            before = await self._read()
            if before != wanted:
                await self._write(wanted)
            return len(before.items() ^ wanted.items())

    async def ping(self) -> None:
        """Raises GatewayError unless the document can be read."""
        await self._read()

    async def version(self) -> str:
        """Nobody tells which one reads the document."""
        return "traefik"

    async def _read(self) -> dict[str, str]:
        return await asyncio.to_thread(self._read_file)

    def _read_file(self) -> dict[str, str]:
        try:
            services = json.loads(self._path.read_bytes()).get("http", {}).get("services", {})
            urls = {name: service["loadBalancer"]["servers"][0]["url"] for name, service in services.items()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise GatewayError(f"the routes in {self._path} cannot be read: {error.strerror or error}") from error
        except (ValueError, LookupError, TypeError, AttributeError):
            # Written by someone else: what it says counts for nothing, and the next change replaces it.
            return {}
        return {name.removeprefix("rt-svc-"): url.removeprefix("http://") for name, url in urls.items()}

    async def _write(self, routes: Mapping[str, str]) -> None:
        content = json.dumps(document(dict(sorted(routes.items()))), indent=1).encode() + b"\n"
        try:
            await asyncio.to_thread(self._write_file, content)
        except OSError as error:
            raise GatewayError(f"the routes cannot be written to {self._path}: {error.strerror or error}") from error

    def _write_file(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, content)


def _target(port: int) -> str:
    return f"{_ADDRESS}:{port}"
