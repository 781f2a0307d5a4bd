"""Slugs over HTTP: who may have which, and where visitors come by them."""

import asyncio

import pytest

from daemons.api import ports
from protocol.api import CreateApp, UpdateApp
from protocol.client.transport import Refused
from protocol.jobs import JobStatus
from tests.http.api.conftest import Api
from tests.support.database_time import let_pass
from tests.support.eventually import eventually

HTML, JSON = {"Accept": "text/html"}, {"Accept": "application/json"}


async def published(api: Api, app_id: str = "20001") -> None:
    job = await api.owner.deploy(app_id)
    api.plane.move(job.id, JobStatus.SUCCEEDED)


async def take(api: Api, slug: str, app_id: str = "20001") -> str | None:
    return (await api.owner.update_app(UpdateApp(app_id=app_id, app_slug=slug))).app_slug


async def test_a_visitor_comes_to_the_app_by_its_slug(api: Api) -> None:
    await api.owner.create_app(CreateApp(app_name="shop"))
    assert await take(api, "my-shop") == "my-shop"
    await published(api)
    assert (await api.owner.app("20001")).app_slug == "my-shop"
    answer = await api.raw.get("/my-shop?from=card&x=%26")
    assert (answer.status_code, answer.headers["location"]) == (302, "/runtime/20001/?from=card&x=%26")
    assert answer.headers["cache-control"] == "no-store"
    assert (await api.raw.head("/my-shop")).status_code == 302
    # While the next version is made, the one before serves.
    await api.owner.deploy("20001")
    assert (await api.raw.get("/my-shop")).status_code == 302


async def test_what_is_not_published_is_under_construction_and_what_nobody_has_is_nowhere(api: Api) -> None:
    await api.owner.create_app()
    await take(api, "my-shop")
    page = await api.raw.get("/my-shop", headers=HTML)
    assert page.status_code == 503 and "Under construction" in page.text
    assert (page.headers["content-type"], page.headers["retry-after"]) == ("text/html; charset=utf-8", "60")
    document = await api.raw.get("/my-shop", headers=JSON)
    assert (document.json()["code"], document.json()["reason"]) == (503, "app_building")
    for path in ("/my-shop-2", "/ab", "/20001", "/swagger-ui"):
        absent = await api.raw.get(path, headers=HTML)
        assert absent.status_code == 404 and "No such app" in absent.text, path
    for path in ("/My-Shop", "/my--shop", "/my-shop/", "/my-shop/x"):
        assert (await api.raw.get(path)).status_code == 404, path


async def test_the_platforms_own_addresses_stay_its_own(api: Api) -> None:
    assert (await api.raw.get("/metrics")).text.startswith("#")
    assert (await api.raw.get("/internal/health")).json()["code"] == 200
    assert (await api.raw.post("/my-shop")).status_code == 405


async def test_a_visit_while_the_control_plane_is_away_is_no_page_of_a_missing_app(api: Api) -> None:
    await api.owner.create_app()
    await take(api, "my-shop")
    api.plane.failing = ports.PlaneUnreachable("away")
    page = await api.raw.get("/my-shop", headers=HTML)
    assert page.status_code == 503 and "cannot say where this is" in page.text


async def test_a_question_tells_why_not(api: Api) -> None:
    await api.owner.create_app()
    await api.other.create_app()
    await take(api, "my-shop")
    for slug, app_id, why in (
        ("my-shop", None, "taken"),
        ("my-shop", "20001", None),
        ("other-shop", None, None),
        ("metrics", None, "reserved"),
        ("My Shop", None, "invalid"),
        ("ab", None, "invalid"),
    ):
        answer = await api.owner.check_slug(slug, app_id)
        assert (answer.available, answer.reason) == (why is None, why), slug
    with pytest.raises(Refused) as refused:
        await api.other.check_slug("my-shop", "20001")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("slug", "status", "words"),
    [("ab", 400, "3 to 40"), ("A-b-c", 400, "lower-case"), ("metrics", 400, "reserved"), ("taken-one", 409, "taken")],
)
async def test_a_slug_that_cannot_be_had_changes_nothing(api: Api, slug: str, status: int, words: str) -> None:
    await api.owner.create_app(CreateApp(app_name="shop"))
    await api.other.create_app()
    await api.other.update_app(UpdateApp(app_id="20002", app_slug="taken-one"))
    await take(api, "my-shop")
    body = {"appId": "20001", "appName": "store", "appSlug": slug}
    headers = {"Authorization": "Bearer owner-token-0123456789"}
    refused = await api.raw.post("/api/fun-ai/app/update-basic", json=body, headers=headers)
    assert refused.status_code == status and words in refused.json()["message"]
    assert refused.json()["data"]["fields"] == ["appSlug"]
    app = await api.owner.app("20001")
    assert (app.app_name, app.app_slug) == ("shop", "my-shop")


async def test_an_app_has_one_slug_and_may_give_it_up(api: Api) -> None:
    await api.owner.create_app()
    await take(api, "my-shop")
    await take(api, "my-shop")
    await take(api, "new-shop")
    assert (await api.owner.check_slug("my-shop")).available
    assert (await api.raw.get("/my-shop")).status_code == 404
    await api.owner.update_app(UpdateApp(app_id="20001", app_name="store"))
    assert (await api.owner.app("20001")).app_slug == "new-shop"
    assert await take(api, "") is None
    assert (await api.owner.check_slug("new-shop")).available


async def test_of_many_who_want_one_slug_exactly_one_gets_it(api: Api) -> None:
    for _ in range(8):
        await api.owner.create_app()
    wanted = (take(api, "my-shop", str(20001 + number)) for number in range(8))
    outcomes = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(outcome == "my-shop" for outcome in outcomes) == 1
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert [(each.status, each.reason) for each in refused] == [(409, "already_exists")] * 7


async def test_a_slug_is_free_when_the_deletion_of_its_app_has_ended(api: Api) -> None:
    await api.owner.create_app()
    await take(api, "my-shop")
    await published(api)
    api.plane.nodes_away = True
    assert (await api.owner.delete_app("20001")).complete is False
    assert (await api.owner.check_slug("my-shop")).reason == "taken"
    assert (await api.raw.get("/my-shop")).status_code == 404
    api.plane.nodes_away = False
    let_pass(api.database, 60)

    async def free() -> bool:
        return (await api.owner.check_slug("my-shop")).available

    await eventually(free)
    await api.other.create_app()
    given = await api.other.update_app(UpdateApp(app_id="20002", app_slug="my-shop"))
    assert given.app_slug == "my-shop"


async def test_a_deployment_needs_no_slug(api: Api) -> None:
    await api.owner.create_app()
    assert (await api.owner.deploy("20001")).status is JobStatus.PENDING
