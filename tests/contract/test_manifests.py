"""What registries say of images: of a real registry, and of ones that want a login, answer by index, or lie."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from daemons.agent.adapters.docker import Credentials
from daemons.agent.adapters.manifests import RegistryManifests
from daemons.agent.domain.images import Layer
from daemons.kit.engine.errors import EngineError
from tests.support.registries import push

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_DIGEST = "sha256:" + "a" * 64
_USER, _PASSWORD = "robot", "password-of-tests"
_BASIC = "Basic " + base64.b64encode(f"{_USER}:{_PASSWORD}".encode()).decode()


async def insecure(_registry: str) -> bool:
    return True


@asynccontextmanager
async def reader(credentials: Credentials | None = None) -> AsyncIterator[RegistryManifests]:
    async with aiohttp.ClientSession() as session:
        yield RegistryManifests(session, insecure, credentials)


@asynccontextmanager
async def registry(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """`host:port` of a server that answers everything with this."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def document(path: str) -> object:
    """An image with two layers, for two machines."""
    if path.endswith("/manifests/index"):
        platforms = [("linux", "s390x", "b"), ("linux", "amd64", "a"), ("linux", "arm64", "a")]
        entries = [
            {"digest": f"sha256:{letter * 64}", "platform": {"os": system, "architecture": machine}}
            for system, machine, letter in platforms
        ]
        return {"mediaType": _INDEX, "manifests": entries}
    if "/blobs/" in path:
        return {"rootfs": {"diff_ids": ["one", "two"]}}
    return {"mediaType": _MANIFEST, "config": {"digest": _DIGEST}, "layers": [{"size": 10}, {"size": 20}]}


async def plain(request: web.Request) -> web.Response:
    return web.json_response(document(request.path))


@pytest.mark.parametrize("reference", ["funai/u7-app5:index", "funai/u7-app5:1", f"funai/u7-app5@{_DIGEST}"])
async def test_layers_are_those_of_this_machine(reference: str) -> None:
    async with registry(plain) as host, reader() as manifests:
        assert await manifests.layers(f"{host}/{reference}") == [Layer(10, "one"), Layer(20, "two")]


async def test_a_login_goes_to_its_own_registry_and_token_service_only() -> None:
    seen: list[tuple[str, str]] = []

    async def guarded(request: web.Request) -> web.Response:
        proof = request.headers.get("Authorization", "")
        seen.append((request.path, proof))
        if request.path == "/token":
            assert request.query["scope"] == "repository:funai/u7-app5:pull"
            return web.json_response({"token": "t-1"}, status=200 if proof == _BASIC else 401)
        if proof != "Bearer t-1":
            scope = 'service="s",scope="repository:funai/u7-app5:pull"'
            challenge = f'Bearer realm="http://{request.host}/token",{scope}'
            return web.json_response({}, status=401, headers={"WWW-Authenticate": challenge})
        return web.json_response(document(request.path))

    async with registry(guarded) as host:
        async with reader(Credentials(host, _USER, _PASSWORD)) as manifests:
            assert len(await manifests.layers(f"{host}/funai/u7-app5:1")) == 2
        assert ("/token", _BASIC) in seen
        seen.clear()
        async with reader(Credentials("elsewhere.example", _USER, _PASSWORD)) as manifests:
            with pytest.raises(EngineError, match="how large"):
                await manifests.layers(f"{host}/funai/u7-app5:1")
        assert all(proof != _BASIC for _, proof in seen)


async def test_a_token_service_elsewhere_is_not_asked_without_tls() -> None:
    asked: list[str] = []

    async def bait(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"token": "x"})

    async with registry(bait) as other:

        async def sends_away(_request: web.Request) -> web.Response:
            challenge = f'Bearer realm="http://{other}/latest/meta-data",service="s"'
            return web.json_response({}, status=401, headers={"WWW-Authenticate": challenge})

        async with registry(sends_away) as host, reader(Credentials(host, _USER, _PASSWORD)) as manifests:
            with pytest.raises(EngineError, match="login"):
                await manifests.layers(f"{host}/funai/u7-app5:1")
    assert asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"config": {}, "layers": []}',
        b'{"config": {"digest": "../../x"}, "layers": []}',
        b'{"manifests": [{"digest": "x"}]}',
        json.dumps({"rootfs": {"diff_ids": ["a"]}, "config": {"digest": _DIGEST}, "layers": []}).encode(),
        b'{"config": "' + b"x" * (5 * 1024**2) + b'"}',
    ],
)
async def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    async def nonsense(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    async with registry(nonsense) as host, reader() as manifests:
        with pytest.raises(EngineError, match="how large"):
            await manifests.layers(f"{host}/funai/u7-app5:1")


async def test_an_image_without_a_registry_has_no_size() -> None:
    async with reader() as manifests:
        with pytest.raises(EngineError, match="no registry"):
            await manifests.layers("funai/u7-app5:1")


@pytest.mark.real
async def test_a_real_registry_that_does_not_have_an_image_says_so(registry_host: str) -> None:
    async with reader() as manifests:
        with pytest.raises(EngineError, match="404"):
            await manifests.layers(f"{registry_host}/funai/u7-app5:absent")
        # What is pushed here has no image's configuration.
        await push(registry_host, "funai/u7-app5", "1", "text")
        with pytest.raises(EngineError, match="how large"):
            await manifests.layers(f"{registry_host}/funai/u7-app5:1")
