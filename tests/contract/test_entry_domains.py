"""Hosts of apps' own at the platform's entry: each leads to its app, by both entries, and opens nothing else."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from yarl import URL

from daemons.kit.gateway_domains import AppDomain, with_certificates
from daemons.kit.nginx_entry import Tls
from tests.support import certificates, entries, real

pytestmark = [pytest.mark.real, pytest.mark.parametrize("kind", entries.ENTRIES)]

HOST = "www.shop.example"


async def test_a_host_leads_to_its_app_and_nowhere_else(kind: str, tmp_path: Path) -> None:
    domains = (AppDomain(HOST, "7"), AppDomain("gone.example", "8"))
    async with entries.world(entries.ENTRIES[kind], tmp_path, domains=domains) as world:
        await world.deployed("7", on="n1")
        await world.deployed("71", on="n2")
        world.api.nodes = {"appId=1": f"http://127.0.0.1:{world.services['w1']}"}
        for path, seen in (
            ("/", "/"),
            ("/a%2Fb?x=%26&y", "/a%2Fb?x=%26&y"),
            ("/runtime/7/assets/x.js", "/assets/x.js"),
            ("/apps/7/", "/"),
            ("/runtime/71/", "/runtime/71/"),
            ("/preview/1/", "/preview/1/"),
            ("/@vite/client", "/@vite/client"),
            ("/api/todos", "/api/todos"),
            ("/api/fun-ai/app/list", "/api/fun-ai/app/list"),
            ("/fun-agent/x", "/fun-agent/x"),
            ("/my-shop", "/my-shop"),
        ):
            for host in (HOST, "WWW.shop.example:8443"):
                forged = dict.fromkeys(
                    ("X-Forwarded-Host", "X-WS-Token", "X-Runtime-Upstream", "X-Admin-Token"), "forged"
                )
                found = await world.seen(path, **{"Host": host, "Cookie": "ws_appid=1", **forged})
                assert (found["name"], found["path"]) == ("7 on n1", seen), path
                assert "forged" not in found["headers"].values()
        assert (await world.seen("/my-shop", Host="shop.example"))["name"] == "api"
        # The host is the app's from its root on, and so are its cookies.
        cookie = "/?answer=Set-Cookie: a=1; Path=/"
        own, below = await world.seen(cookie, Host=HOST), await world.seen(f"/runtime/7{cookie}")
        assert (own["answered"]["set-cookie"], own["headers"].get("x-forwarded-prefix")) == ("a=1; Path=/", None)
        assert below["answered"]["set-cookie"] == "a=1; Path=/runtime/7/"
        assert below["headers"]["x-forwarded-prefix"] == "/runtime/7"
        assert (await world.seen("/runtime/71/", Host=f"x.{HOST}"))["name"] == "71 on n2"
        closed = await world.visitor.get("/api/fun-ai/internal/x", headers={"Host": "shop.example"})
        assert closed.status_code == 404


async def test_a_host_follows_its_app(kind: str, tmp_path: Path) -> None:
    domains = (AppDomain(HOST, "7"), AppDomain("gone.example", "8"))
    async with entries.world(entries.ENTRIES[kind], tmp_path, domains=domains) as world:
        await world.deployed("7", on="n1")
        assert (await world.seen("/", Host=HOST))["name"] == "7 on n1"
        await world.deployed("7", on="n2")
        await entries.forgotten()
        assert (await world.seen("/", Host=HOST))["name"] == "7 on n2"
        gone = await world.visitor.get("/", headers={"Host": "gone.example", "Accept": "text/html"})
        assert gone.status_code == 404 and "<h1>No such app" in gone.text
        await world.plane.runner.cleanup()
        await entries.forgotten()
        away = await world.visitor.get("/", headers={"Host": HOST, "Accept": "application/json"})
        assert (away.status_code, away.json()["reason"]) == (503, "app_unfound")


async def test_a_host_has_a_certificate_of_its_own(kind: str, tmp_path: Path) -> None:
    for host in ("studio.example", HOST):
        await asyncio.to_thread(certificates.self_signed, tmp_path, host, joined=kind == "haproxy")
    listed = [AppDomain(host, "7") for host in (HOST, "bare.example", "torn.example")]
    for ending in ("pem", "key"):
        # One that no gateway would take must not hold up the others.
        text = await asyncio.to_thread((tmp_path / f"{HOST}.{ending}").read_text)
        await asyncio.to_thread((tmp_path / f"torn.example.{ending}").write_text, text[:400])
    found = await asyncio.to_thread(with_certificates, listed, tmp_path, key_apart=kind == "nginx")
    assert [each.certificate is not None for each in found] == [True, False, False]
    own, plain = tmp_path / "studio.example.pem", real.free_port()
    tls = {"tls": Tls(own, tmp_path / "studio.example.key", plain)}
    changes = tls if kind == "nginx" else {"certificate": own, "plain_port": plain}
    async with entries.world(entries.ENTRIES[kind], tmp_path, domains=tuple(found), **changes) as world:
        await world.deployed("7", on="n1")
        assert await _shown(world.url, "studio.example") == "studio.example"
        assert await _shown(world.url, HOST) == HOST
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with httpx.AsyncClient(base_url=world.url, verify=context, timeout=60) as visitor:
            seen = await visitor.get("/x", headers={"Host": HOST}, extensions={"sni_hostname": HOST})
            assert (seen.json()["name"], seen.json()["headers"]["x-forwarded-proto"]) == ("7 on n1", "https")
            assert "strict-transport-security" not in seen.headers
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain}") as visitor:
            sent = await visitor.get("/a%2Fb?x=1", headers={"Host": HOST})
            at = f"https://{HOST}:{URL(world.url).port}/a%2Fb?x=1"
            assert (sent.status_code, sent.headers["location"]) == (308, at)


async def _shown(url: str, host: str) -> str:
    """The name in the certificate that a visitor of this host is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    at = URL(url)
    _, writer = await asyncio.open_connection(at.host, at.port, ssl=context, server_hostname=host)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    # What the server still says of its session is nobody's interest.
    writer.transport.abort()
    (name,) = x509.load_der_x509_certificate(shown).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)
