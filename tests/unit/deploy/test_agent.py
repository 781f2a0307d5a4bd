"""Calling agents: what is sent, and how their failures are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network

import pytest
from aiohttp import web

from daemons.deploy.adapters.agent import HttpAgent
from daemons.deploy.domain.addresses import AgentAddresses
from daemons.deploy.domain.strays import Container
from daemons.deploy.ports import AgentFailed

TOKEN = "agent-token-of-the-tests"


@asynccontextmanager
async def agent(answer: web.Response) -> AsyncIterator[tuple[str, list[tuple[str, str, object]]]]:
    asked: list[tuple[str, str, object]] = []

    async def handle(request: web.Request) -> web.Response:
        body: object = await request.json() if request.can_read_body else dict(request.query)
        asked.append((request.path, request.headers.get("X-Runtime-Token", ""), body))
        return answer

    app = web.Application()
    app.add_routes([web.post("/agent/apps/{verb}", handle), web.get("/agent/apps/{verb}", handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", asked
    finally:
        await runner.cleanup()


async def test_ids_are_strings_the_fence_goes_along_and_the_answer_comes_back_verbatim() -> None:
    answer = {"appId": "20001", "status": "STOPPED", "extra": {"kept": [1]}}
    async with agent(web.json_response(answer)) as (url, asked):
        assert await HttpAgent(TOKEN, 5).stop(url, "1", "20001", 8) == answer
    assert asked == [("/agent/apps/stop", TOKEN, {"userId": "1", "appId": "20001", "fence": 8})]


async def test_an_agents_refusal_is_told_in_its_words() -> None:
    async with agent(web.json_response({"detail": "deployment in flight"}, status=409)) as (url, asked):
        with pytest.raises(AgentFailed, match="deployment in flight"):
            await HttpAgent(TOKEN, 5).delete(url, "1", "20001", 8)
    assert asked[0][0] == "/agent/apps/delete"


@pytest.mark.parametrize("body", ["Internal Server Error", "[1]"])
async def test_an_agent_that_makes_no_sense_has_failed(body: str) -> None:
    async with agent(web.Response(text=body, status=500 if body[0] == "I" else 200)) as (url, _):
        with pytest.raises(AgentFailed):
            await HttpAgent(TOKEN, 5).stop(url, "1", "20001", 8)


async def test_an_agent_that_is_not_there_has_failed_and_so_has_one_without_a_token() -> None:
    with pytest.raises(AgentFailed, match="does not answer"):
        await HttpAgent(TOKEN, 1).stop("http://127.0.0.1:9", "1", "20001", 8)
    with pytest.raises(AgentFailed, match="RUNTIME_AGENT_TOKEN"):
        await HttpAgent(None, 1).stop("http://127.0.0.1:9", "1", "20001", 8)


async def test_an_agent_says_which_images_of_an_app_it_has() -> None:
    async with agent(web.json_response({"appId": "20001", "images": ["a/u1-app20001:b"], "more": 1})) as (url, asked):
        assert list(await HttpAgent(TOKEN, 5).images(url, "1", "20001")) == ["a/u1-app20001:b"]
    assert asked == [("/agent/apps/images", TOKEN, {"userId": "1", "appId": "20001"})]


async def test_an_agent_that_cannot_be_asked_for_images_has_failed() -> None:
    """Existing agents do not know the question: that the image is gone does not follow."""
    async with agent(web.json_response({"detail": "Not Found"}, status=404)) as (url, _):
        with pytest.raises(AgentFailed, match="which images it has: Not Found"):
            await HttpAgent(TOKEN, 5).images(url, "1", "20001")


async def test_an_agent_says_which_containers_it_has_and_an_existing_one_cannot() -> None:
    told = {"name": "rt-u-1-20001-r3", "userId": "1", "appId": "20001", "running": False}
    async with agent(web.json_response({"containers": [told]})) as (url, asked):
        assert list(await HttpAgent(TOKEN, 5).containers(url)) == [Container("rt-u-1-20001-r3", "1", "20001", False)]
    assert asked[0][0] == "/agent/apps/containers"
    async with agent(web.json_response({"detail": "Not Found"}, status=404)) as (url, _):
        with pytest.raises(AgentFailed, match="which containers it has: Not Found"):
            await HttpAgent(TOKEN, 5).containers(url)


async def test_the_token_goes_to_no_address_where_no_agent_may_be() -> None:
    """As a row of before, or another replica with other settings, may name one."""
    async with agent(web.json_response({})) as (url, asked):
        elsewhere = AgentAddresses((ip_network("10.0.0.0/8"),))
        with pytest.raises(AgentFailed, match="DEPLOY_AGENT_ADDRESSES") as caught:
            await HttpAgent(TOKEN, 5, elsewhere).stop(url, "1", "20001", 8)
    assert caught.value.reason == "address_refused" and asked == []
