"""Hosts of apps' own over HTTP: claimed by anybody, somebody's once the DNS proves it, told to gateways."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from daemons.kit import gateway_domains
from daemons.kit.gateway_domains import AppDomain
from protocol.api import AppDomainView
from protocol.client.transport import Refused
from tests.http.api.conftest import GATEWAY, Api

HOST = "www.shop.example"
LIST = "/api/fun-ai/internal/gateway/domains"


@pytest.fixture(autouse=True)
async def apps(api: Api) -> None:
    """20001 of the owner, 20002 of somebody else."""
    await api.owner.create_app()
    await api.other.create_app()


def put(api: Api, claim: AppDomainView) -> None:
    """The host's owner makes the record."""
    api.proofs.records.setdefault(claim.record_name, []).append(claim.record_value)


async def listed(api: Api) -> list[str]:
    answer = await api.raw.get(LIST, headers={"X-WS-Token": GATEWAY})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return answer.text.splitlines()


def as_gateways_read(path: Path, lines: list[str]) -> Sequence[AppDomain]:
    path.write_text("\n".join(lines))
    return gateway_domains.read(path)


async def refused(call: object) -> tuple[int, str | None]:
    with pytest.raises(Refused) as caught:
        await call  # type: ignore[misc]
    return caught.value.status, caught.value.reason


async def test_a_host_is_the_apps_once_the_dns_proves_it(api: Api, tmp_path: Path) -> None:
    claim = await api.owner.add_domain("20001", "WWW.Shop.example.")
    assert (claim.host, claim.verified, claim.record_name) == (HOST, False, f"_funai-verify.{HOST}")
    assert await api.owner.add_domain("20001", HOST) == claim
    assert await listed(api) == ["# 0 domains"]
    assert await refused(api.owner.verify_domain("20001", HOST)) == (409, "not_proven")
    api.proofs.records[claim.record_name] = ["v=spf1 -all", f"{claim.record_value}0"]
    assert await refused(api.owner.verify_domain("20001", HOST)) == (409, "not_proven")
    put(api, claim)
    verified = await api.owner.verify_domain("20001", HOST)
    assert verified.verified and verified.verified_at is not None
    assert await api.owner.verify_domain("20001", HOST) == verified
    assert await api.owner.domains("20001") == (verified,)
    assert await listed(api) == ["# 1 domains", f"{HOST} 20001"]
    (read,) = await asyncio.to_thread(as_gateways_read, tmp_path / "domains", await listed(api))
    assert (read.host, read.app_id) == (HOST, "20001")


async def test_nobody_takes_anothers_host(api: Api) -> None:
    mine, theirs = await api.owner.add_domain("20001", HOST), await api.other.add_domain("20002", HOST)
    assert mine.record_value != theirs.record_value
    put(api, mine)
    assert await refused(api.other.verify_domain("20002", HOST)) == (409, "not_proven")
    await api.owner.verify_domain("20001", HOST)
    put(api, theirs)
    assert await refused(api.other.verify_domain("20002", HOST)) == (409, "already_exists")
    assert await listed(api) == ["# 1 domains", f"{HOST} 20001"]


async def test_a_host_that_has_another_owner_goes_with_its_dns(api: Api) -> None:
    mine, theirs = await api.owner.add_domain("20001", HOST), await api.other.add_domain("20002", HOST)
    put(api, mine)
    await api.owner.verify_domain("20001", HOST)
    api.proofs.records[mine.record_name] = [theirs.record_value]
    assert (await api.other.verify_domain("20002", HOST)).verified
    assert await listed(api) == ["# 1 domains", f"{HOST} 20002"]
    assert [claim.verified for claim in await api.owner.domains("20001")] == [False]


async def test_while_the_dns_does_not_answer_nothing_changes(api: Api) -> None:
    claim = await api.owner.add_domain("20001", HOST)
    put(api, claim)
    api.proofs.away = True
    assert await refused(api.owner.verify_domain("20001", HOST)) == (503, "unavailable")
    assert await listed(api) == ["# 0 domains"]


async def test_what_is_given_back_or_deleted_leads_nowhere(api: Api) -> None:
    for host in (HOST, "shop.example"):
        put(api, await api.owner.add_domain("20001", host))
        await api.owner.verify_domain("20001", host)
    assert (await api.owner.remove_domain("20001", HOST)).host == HOST
    assert await refused(api.owner.remove_domain("20001", HOST)) == (404, "not_found")
    assert await listed(api) == ["# 1 domains", "shop.example 20001"]
    await api.owner.delete_app("20001")
    assert await listed(api) == ["# 0 domains"]


async def test_an_app_claims_at_most_five(api: Api) -> None:
    for number in range(5):
        await api.owner.add_domain("20001", f"n{number}.shop.example")
    assert await refused(api.owner.add_domain("20001", HOST)) == (409, "already_exists")
    await api.owner.add_domain("20001", "n0.shop.example")


@pytest.mark.parametrize(
    "host", ["", "shop", "127.0.0.1", "::1", "*.shop.example", "shop..example", "-a.example", "a b.example", "x" * 240,
             "shop.example/x", "shop.example:80", "shöp.example", "shop.example\n", "a.b;", f"{'a' * 64}.example"],
)  # fmt: skip
async def test_what_is_no_host_is_refused(api: Api, host: str) -> None:
    body = {"appId": "20001", "host": host}
    answer = await api.raw.post(
        "/api/fun-ai/app/domains", json=body, headers={"Authorization": "Bearer owner-token-0123456789"}
    )
    assert answer.status_code == 400 and "host" in answer.json()["message"]


async def test_the_list_is_for_gateways_alone(api: Api) -> None:
    for headers in ({}, {"X-WS-Token": "wrong"}, {"Authorization": "Bearer owner-token-0123456789"}):
        assert (await api.raw.get(LIST, headers=headers)).status_code == 401
