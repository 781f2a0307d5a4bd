"""What operators choose of the platform's entry: limits, origins, hosts of previews, TLS; and that of a single node."""

import asyncio
import io
import socket
import ssl
import struct
import subprocess
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import aiohttp
import httpx
import pytest

from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.nginx_entry import Limits, Tls
from tests.support import entries, real
from tests.support.gateways import Backends

pytestmark = pytest.mark.real


async def test_a_body_is_as_large_as_it_may_be_and_no_larger(tmp_path: Path) -> None:
    limits = Limits(body_megabytes=1)
    async with entries.world(entries.nginx, tmp_path, limits=limits) as world, aiohttp.ClientSession() as visitor:
        await world.deployed("7", on="n1")

        async def pieces(number: int) -> AsyncIterator[bytes]:
            for _ in range(number):
                yield b"x" * 2**16

        for path in ("/api/fun-ai/x?read", "/runtime/7/?read"):
            url, json = world.url + path, {"Accept": "application/json"}
            async with visitor.post(url, data=io.BytesIO(b"x" * 2**20)) as fits:
                assert (fits.status, (await fits.json())["size"]) == (200, 2**20)
            async with visitor.post(url, data=io.BytesIO(b"x" * (2**20 + 1)), headers=json) as said:
                assert (said.status, (await said.json())["reason"]) == (413, "app_large")
            async with visitor.post(url, data=pieces(17), headers=json) as chunked:
                assert chunked.status == 413


async def test_too_many_requests_of_one_address_are_left_out(tmp_path: Path) -> None:
    limits = Limits(rate=1, burst=3)
    async with entries.world(entries.nginx, tmp_path, limits=limits) as world:
        answers = [await world.visitor.get("/api/fun-ai/x", headers={"Accept": "application/json"}) for _ in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused and answers[0].status_code == 200
        assert {answer.json()["reason"] for answer in refused} == {"app_often"}
        assert {answer.headers["retry-after"] for answer in refused} == {"5"}


@pytest.mark.parametrize("kind", entries.ENTRIES)
async def test_pages_of_listed_origins_may_call_the_agent_service(tmp_path: Path, kind: str) -> None:
    origin = "https://funar.example.com"
    async with entries.world(entries.ENTRIES[kind], tmp_path, agent_origins=(origin,)) as world:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        allowed = await world.visitor.options("/fun-agent/chat", headers={"Origin": origin, **asked})
        assert (allowed.status_code, len(allowed.headers["x-request-id"])) == (204, 32)
        assert allowed.headers["access-control-allow-origin"] == origin
        assert allowed.headers["access-control-allow-credentials"] == "true"
        assert "Authorization" in allowed.headers["access-control-allow-headers"]
        told = "/fun-agent/x?answer=Access-Control-Allow-Origin: *"
        answer = await world.visitor.get(told, headers={"Origin": origin})
        assert answer.headers.get_list("access-control-allow-origin") == [origin]
        assert answer.headers["vary"] == "Origin"
        for other in ("https://evil.example", f"{origin}.evil.example", "null"):
            answer = await world.visitor.get(told, headers={"Origin": other})
            assert "access-control-allow-origin" not in answer.headers
            assert (await world.visitor.options("/fun-agent/chat", headers={"Origin": other})).status_code == 200


@pytest.mark.parametrize("kind", entries.ENTRIES)
async def test_hosts_of_previews_own_lead_to_their_node(tmp_path: Path, kind: str) -> None:
    own = OwnHosts.of("http://preview.example.com")
    async with entries.world(entries.ENTRIES[kind], tmp_path, own=own) as world:
        world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
        for path in ("/", "/api/fun-ai/x", "/runtime/7/", "/preview/2/", "/_en_preview"):
            found = await world.seen(path, Host="1.preview.example.com")
            assert (found["name"], found["path"]) == ("w1", path)
            assert found["headers"]["host"] == "1.preview.example.com"
        unknown = await world.visitor.get("/", headers={"Host": "2.preview.example.com"})
        assert unknown.status_code == 404


@pytest.mark.parametrize("kind", entries.ENTRIES)
async def test_who_is_before_the_entry_says_who_visits_and_nobody_else_does(tmp_path: Path, kind: str) -> None:
    said = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7", "X-Forwarded-Proto": "https"}
    async with entries.world(entries.ENTRIES[kind], tmp_path, entrances=("127.0.0.2",)) as world:
        await world.deployed("7", on="n1")
        for address, visitor, scheme in (("127.0.0.2", "203.0.113.7", "https"), ("127.0.0.3", "127.0.0.3", "http")):
            way = httpx.AsyncHTTPTransport(local_address=address)
            async with httpx.AsyncClient(base_url=world.url, transport=way, timeout=60) as client:
                for path in ("/fun-agent/x", "/runtime/7/"):
                    told = (await client.get(path, headers=said)).json()["headers"]
                    assert (told["x-forwarded-for"], told["x-forwarded-proto"]) == (visitor, scheme), path


async def test_nodes_that_have_names_are_found_by_a_name_server(tmp_path: Path) -> None:
    names = Names({"ws-node-01.internal": "127.0.0.1"})
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(lambda: names, local_addr=("127.0.0.1", 0))
    resolvers = (("127.0.0.1", server.get_extra_info("sockname")[1]),)
    try:
        async with entries.world(entries.nginx, tmp_path, resolvers=resolvers) as world:
            world.api.nodes = {
                "appId=1": f"http://ws-node-01.internal:{world.services['w1']}",
                "appId=2": f"http://ws-node-02.internal:{world.services['w1']}",
            }
            assert (await world.seen("/preview/1/x"))["name"] == "w1"
            assert (await world.visitor.get("/preview/2/x")).status_code == 502
    finally:
        server.close()


class Names(asyncio.DatagramProtocol):
    """A name server: addresses by name, and no such name for everything else. (RFC 1035, sections 4.1.1 to 4.1.3.)"""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        end = data.index(b"\0", 12)
        question = data[12 : end + 5]
        found = self._addresses.get(_name(data[12:end]))
        of_address = question[-4:-2] == b"\0\x01"
        answer = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton(found) if found and of_address else b""
        code = b"\x81\x80" if found else b"\x81\x83"
        counts = struct.pack("!4H", 1, bool(answer), 0, 0)
        self._transport.sendto(data[:2] + code + counts + question + answer, addr)


def _name(labels: bytes) -> str:
    parts = []
    while labels:
        parts.append(labels[1 : labels[0] + 1].decode())
        labels = labels[labels[0] + 1 :]
    return ".".join(parts)


async def test_tls_is_what_browsers_of_today_accept_and_no_less(tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    openssl = [real.program("openssl", "openssl"), *made, "-days", "2", "-subj", "/CN=localhost"]
    await asyncio.to_thread(subprocess.run, openssl, check=True, capture_output=True)
    tls = Tls(certificate, key, real.free_port(), tmp_path / "acme")
    async with entries.world(entries.nginx, tmp_path, tls=tls) as world:
        await world.deployed("7", on="n1")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            answer = await _by_tls(world.url, version)
            assert answer.json()["headers"]["x-forwarded-proto"] == "https"
            assert answer.headers["strict-transport-security"] == "max-age=63072000"
            told = (await _by_tls(world.url, version, "/runtime/7/")).json()["headers"]
            assert (told["x-forwarded-proto"], told["x-forwarded-for"]) == ("https", "127.0.0.1")
        with pytest.raises(httpx.ConnectError):
            await _by_tls(world.url, ssl.TLSVersion.TLSv1_1)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{tls.plain_port}") as plain:
            sent = await plain.get("/runtime/7/a%2Fb?x=1")
            assert (sent.status_code, sent.headers["location"]) == (308, f"{world.url}/runtime/7/a%2Fb?x=1")
            assert (await plain.get("/gateway/health")).text == "ok"
            challenge = tmp_path / "acme" / ".well-known" / "acme-challenge"
            await asyncio.to_thread(_written, challenge / "token")
            assert (await plain.get("/.well-known/acme-challenge/token")).text == "proof"


async def _by_tls(url: str, version: ssl.TLSVersion, path: str = "/fun-agent/x") -> httpx.Response:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        # Of this library, because the version is an old one.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    if version < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("DEFAULT@SECLEVEL=0")
    async with httpx.AsyncClient(verify=context, timeout=60) as visitor:
        return await visitor.get(url + path)


def _written(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("proof")
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        folder.chmod(0o755)


async def test_the_gateway_of_a_single_node_is_the_entry_as_well(tmp_path: Path) -> None:
    backends = Backends()
    try:
        async with entries.alone(backends, tmp_path) as gateway:
            await gateway.driver.route("7", await backends.serve("app"))
            async with httpx.AsyncClient(base_url=gateway.url, timeout=60) as visitor:
                await _seen_alone(visitor)
    finally:
        await backends.close()


async def _seen_alone(visitor: httpx.AsyncClient) -> None:
    for path, name in (("/api/fun-ai/x", "api"), ("/doc/x", "api"), ("/favicon.ico", "api"), ("/apps/7/", "app")):
        forged = {"X-WS-Token": "forged", "X-Runtime-Upstream": "forged", "X-Request-Id": "abc1"}
        answer = await visitor.get(path, headers=forged | {"X-Forwarded-For": "6.6.6.6"})
        got = answer.json()["headers"]
        assert (answer.json()["name"], answer.headers["x-request-id"]) == (name, "abc1")
        assert got["x-forwarded-for"] == "127.0.0.1" and "forged" not in got.values()
    for path in entries.PAGES:
        answer = await visitor.get(path)
        assert (answer.json()["name"], answer.json()["path"]) == ("api", path)
    closed = await visitor.get("/api/fun-ai/workspace/internal/nginx/port?appId=7")
    assert (closed.status_code, closed.json()["reason"]) == (404, "app_closed")
    assert (await visitor.get("/fun-agent/x")).status_code == 404
    assert (await visitor.get("/", headers={"Accept": "text/html"})).status_code == 404
    assert (await visitor.get("/my-shop?x=1")).json()["name"] == "api"
    for path in ("/metrics", "/internal", "/internal/health", "/my-shop/x", "/My-Shop", "/ab", "/gateway", "/preview"):
        assert (await visitor.get(path)).status_code == 404, path
    # Announced and not sent: HAProxy does not wait for what it refuses.
    reader, writer = await asyncio.open_connection(visitor.base_url.host, visitor.base_url.port)
    writer.write(b"POST /api/fun-ai/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
    async with asyncio.timeout(60):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()
    await writer.wait_closed()


async def test_haproxy_has_the_same_limits_and_tls(tmp_path: Path) -> None:
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "k.pem", "-out", "c.pem"]
    openssl = [real.program("openssl", "openssl"), *made, "-days", "2", "-subj", "/CN=localhost"]
    await asyncio.to_thread(subprocess.run, openssl, cwd=tmp_path, check=True, capture_output=True)
    both = await asyncio.to_thread(_joined, tmp_path)
    plain = real.free_port()
    async with entries.world(entries.haproxy, tmp_path, certificate=both, plain_port=plain, rate=20) as world:
        await world.deployed("7", on="n1")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            answer = await _by_tls(world.url, version, "/runtime/7/")
            assert answer.json()["headers"]["x-forwarded-proto"] == "https"
            assert answer.headers["strict-transport-security"] == "max-age=63072000"
        with pytest.raises(httpx.ConnectError):
            await _by_tls(world.url, ssl.TLSVersion.TLSv1_1)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain}") as visitor:
            sent = await visitor.get("/runtime/7/a%2Fb?x=1")
            assert (sent.status_code, sent.headers["location"]) == (308, f"{world.url}/runtime/7/a%2Fb?x=1")
        async with httpx.AsyncClient(base_url=world.url, verify=False) as many:
            answers = [await many.get("/api/fun-ai/x") for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused and {answer.json()["reason"] for answer in refused} == {"app_often"}


def _joined(folder: Path) -> Path:
    both = folder / "both.pem"
    both.write_text((folder / "c.pem").read_text() + (folder / "k.pem").read_text())
    return both
