"""The runner's look into a registry: a real one, and one that answers as it likes."""

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from daemons.runner.adapters.registry import OciImages
from daemons.runner.ports import RegistryDown
from tests.support.registries import push
from tests.support.trying_registry import registry_with_tokens, token_service

ABSENT = "sha256:" + "0" * 64
LOGIN = ("robot", "a password that goes to one registry")
#: A Harbor project's robot as Harbor names it.
ROBOT = ("robot$funaistudio+runner", "tests-only")


def basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


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
        await OciImages(odd.host, LOGIN).size(odd.host, "a/b", digest_of(body))
    assert len(odd.seen) == 1


async def test_something_else_under_a_digest_is_not_the_image(odd: Odd) -> None:
    odd.body = b'{"config":{"size":10}}'
    assert await OciImages(odd.host, None).size(odd.host, "a/b", ABSENT) is None
    assert await OciImages(odd.host, None).size(odd.host, "a/b", digest_of(odd.body)) == 10


@pytest.mark.parametrize(
    ("status", "after", "seconds"),
    [(429, "7", 7), (503, "3600", 120), (200, "7", 0), (429, "soon", 0), (429, "", 0), (429, "-1", 0), (401, "9", 0)],
)
async def test_a_registry_is_left_alone_for_as_long_as_it_asks(
    odd: Odd, status: int, after: str, seconds: float
) -> None:
    odd.status, odd.headers = status, {"Retry-After": after}
    assert await OciImages(odd.host, None).pause(odd.host) == seconds


@pytest.mark.parametrize(
    "realm",
    [
        "http://elsewhere.example/token",
        "https:///token",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/token",
        "http://[/",
    ],
)
async def test_a_token_service_that_must_not_be_asked_is_not(odd: Odd, realm: str) -> None:
    odd.status, odd.headers = 401, {"WWW-Authenticate": f'Bearer realm="{realm}",service="s",scope="repository:a:pull"'}
    with pytest.raises(RegistryDown, match="HTTP 401"):
        await OciImages(odd.host, LOGIN).size(odd.host, "a/b", ABSENT)
    assert len(odd.seen) == 1


@pytest.mark.real
async def test_a_robot_account_looks_in_through_a_token_service(tmp_path: Path, registry_host: str) -> None:
    async with token_service(tmp_path, ROBOT) as service:
        with registry_with_tokens(tmp_path / "registry", service) as host:
            images = OciImages(host, ROBOT)
            assert await images.size(host, "funaistudio/u1-app1", ABSENT) is None
            assert service.asked == [("repository:funaistudio/u1-app1:pull", basic(ROBOT))]
            with pytest.raises(RegistryDown, match="HTTP 401"):
                await OciImages(host, None).size(host, "funaistudio/u1-app1", ABSENT)
            with pytest.raises(RegistryDown, match=r"token service.*HTTP 401"):
                await OciImages(host, (ROBOT[0], "wrong")).digest(host, "funaistudio/u1-app1", "latest")


async def test_the_size_is_that_of_configuration_and_layers_as_far_as_they_are_told(odd: Odd) -> None:
    odd.body = b'{"config":{"size":10},"layers":[{"size":100},{"size":-5},{"size":"7"},{}, 3]}'
    assert await OciImages(odd.host, None).size(odd.host, "a/b", digest_of(odd.body)) == 110


async def test_credentials_go_to_the_registry_that_they_are_for_alone(odd: Odd) -> None:
    await OciImages(odd.host, LOGIN).size(odd.host, "a/b", ABSENT)
    await OciImages("registry.example:5000", LOGIN).size(odd.host, "a/b", ABSENT)
    assert odd.seen == [basic(LOGIN), None]


async def test_a_registry_elsewhere_is_spoken_to_with_tls_unless_it_is_listed(odd: Odd) -> None:
    # An address that leads here without being one of this machine's own names.
    host = odd.host.replace("127.0.0.1", "0.0.0.0")
    with pytest.raises(RegistryDown):
        await OciImages(host, None).size(host, "a/b", ABSENT)
    assert odd.seen == []
    assert await OciImages(host, None, (host,)).size(host, "a/b", digest_of(odd.body)) == 0
