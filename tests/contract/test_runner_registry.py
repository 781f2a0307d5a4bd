"""The runner's look into a registry: a real one, and one that answers as it likes."""

import base64
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemons.runner.adapters.registry import OciImages
from daemons.runner.ports import RegistryDown
from tests.support.registries import push

ABSENT = "sha256:" + "0" * 64
LOGIN = ("robot", "a password that goes to one registry")


@pytest.mark.real
async def test_what_was_pushed_is_there_with_its_size_and_nothing_else_is(registry_host: str) -> None:
    images = OciImages(registry_host, None)
    digest = await push(registry_host, "funaistudio/u1-app1", "one", "an image of some size")
    size = await images.size(registry_host, "funaistudio/u1-app1", digest)
    assert size is not None and size >= len("an image of some size")
    assert await images.size(registry_host, "funaistudio/u1-app1", ABSENT) is None
    assert await images.size(registry_host, "funaistudio/u1-app2", digest) is None


class Odd:
    """A registry on this machine; `seen` are the credentials it got."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.headers: dict[str, str] = {}
        self.seen: list[str | None] = []
        self.host = ""

    async def serve(self, request: web.Request) -> web.Response:
        self.seen.append(request.headers.get("Authorization"))
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@pytest.fixture
async def odd() -> AsyncIterator[Odd]:
    made, app = Odd(), web.Application()
    app.router.add_route("*", "/{path:.*}", made.serve)
    async with TestServer(app) as server:
        made.host = f"127.0.0.1:{server.port}"
        yield made


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"not JSON"), (200, b"[]"), (200, b"x" * 5_000_000), (401, b""), (403, b""), (500, b""), (302, b"")],
)
async def test_an_answer_that_tells_nothing_is_no_answer(odd: Odd, status: int, body: bytes) -> None:
    odd.status, odd.body, odd.headers = status, body, {"Location": f"http://{odd.host}/elsewhere"}
    with pytest.raises(RegistryDown, match=odd.host):
        await OciImages(odd.host, LOGIN).size(odd.host, "a/b", ABSENT)
    assert len(odd.seen) == 1


async def test_the_size_is_that_of_configuration_and_layers_as_far_as_they_are_told(odd: Odd) -> None:
    odd.body = b'{"config":{"size":10},"layers":[{"size":100},{"size":-5},{"size":"7"},{}, 3]}'
    assert await OciImages(odd.host, None).size(odd.host, "a/b", ABSENT) == 110


async def test_credentials_go_to_the_registry_that_they_are_for_alone(odd: Odd) -> None:
    await OciImages(odd.host, LOGIN).size(odd.host, "a/b", ABSENT)
    await OciImages("registry.example:5000", LOGIN).size(odd.host, "a/b", ABSENT)
    proof = base64.b64encode(":".join(LOGIN).encode()).decode()
    assert odd.seen == [f"Basic {proof}", None]


async def test_a_registry_elsewhere_is_spoken_to_with_tls_unless_it_is_listed(odd: Odd) -> None:
    # An address that leads here without being one of this machine's own names.
    host = odd.host.replace("127.0.0.1", "0.0.0.0")
    with pytest.raises(RegistryDown):
        await OciImages(host, None).size(host, "a/b", ABSENT)
    assert odd.seen == []
    assert await OciImages(host, None, (host,)).size(host, "a/b", ABSENT) == 0
