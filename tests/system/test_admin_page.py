"""The operators' page in a real browser, before a real API and a real control plane with nodes that report."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.drains import DrainState, MoveState
from protocol.jobs import JobStatus
from protocol.nodes import NodeView
from tests.support.admin_site import GIB, MARKUP, PASSWORD, Site, admin_site
from tests.support.browser import Page, chromium, first_page
from tests.support.eventually import eventually
from tests.support.served_api import ADMIN

pytestmark = pytest.mark.real
#: What the page may not do is noted before its own scripts run.
_SPY = """
window.broken = [];
document.addEventListener('securitypolicyviolation', (event) => window.broken.push(event.violatedDirective));
window.addEventListener('error', (event) => window.broken.push(event.message));
window.addEventListener('unhandledrejection', (event) => window.broken.push(String(event.reason)));
window.rowOf = (name) => [...document.querySelectorAll('tbody tr')].find(
  (row) => [...row.querySelectorAll('strong, code')].some((each) => each.textContent === name));
window.buttonOf = (where, label) => [...where.querySelectorAll('button')].find(
  (each) => !each.hidden && each.textContent === label);
"""
_FULL = {"diskTotalBytes": 500 * GIB, "intervalSeconds": 10}
_ROOMY = {"n1": {**_FULL, "diskFreePct": 62.0, "diskFreeBytes": 310 * GIB, "containerCount": 3, "version": MARKUP}}
_OTHERS = {
    "n2": {**_FULL, "diskFreePct": 48.0, "diskFreeBytes": 240 * GIB, "containerCount": 0},
    "n3": {**_FULL, "diskFreePct": 19.5, "diskFreeBytes": 98 * GIB},
    "n4": {**_FULL, "diskFreePct": 8.0, "diskFreeBytes": 40 * GIB},
}


@dataclass
class Desk:
    """An operator before the page."""

    site: Site
    page: Page
    beats: asyncio.Task[None]

    async def go(self, path: str) -> None:
        await self.page.call("Page.navigate", url=f"{self.site.url}{path}")

    async def enter(self, mode: str) -> None:
        """By the admin token, typed."""
        await self.go(f"/admin/nodes-admin.html?mode={mode}")
        await self.page.until("window.rowOf && document.getElementById('token')?.checkVisibility()", "the login")
        await self.page.value("document.getElementById('token').focus()")
        await self.page.call("Input.insertText", text=ADMIN)
        await self.page.press_enter()
        await self.page.until("document.querySelector('.fresh.good')", "the live view")

    async def press(self, name: str, label: str) -> None:
        """A button of a row."""
        button = f"window.buttonOf(rowOf({json.dumps(name)}) ?? document.body, {json.dumps(label)})"
        await self.page.until(f"rowOf({json.dumps(name)}) && {button}", f"the button {label} of {name}")
        await self.page.value(f"{button}.focus(); {button}.click()")

    async def asked(self, title: str) -> None:
        """A dialog whose question can be answered."""
        shown = f"document.querySelector('dialog[open] h2')?.textContent === {json.dumps(title)}"
        await self.page.until(f"{shown} && !document.querySelector('dialog .waiting')", f"the question {title!r}")

    async def answer(self, label: str) -> None:
        """By a button of the dialog."""
        await self.page.value(f"buttonOf(document.querySelector('dialog[open]'), {json.dumps(label)}).click()")

    async def agreed(self, label: str) -> None:
        """It was carried out."""
        await self.answer(label)
        await self.page.until("!document.querySelector('dialog[open]')", "the end of the dialog")

    async def sees(self, name: str, words: str) -> None:
        """A row says it."""
        said = f"rowOf({json.dumps(name)})?.innerText.includes({json.dumps(words)})"
        await self.page.until(said, f"{words!r} of {name}")

    async def node(self, name: str) -> NodeView:
        """As the control plane has it."""
        return next(node for node in await self.site.plane.admin.nodes() if node.name == name)

    async def sound(self) -> None:
        """Nothing in the page was refused or failed, and what nodes call themselves was run nowhere."""
        assert await self.page.value("window.broken") == []
        assert await self.page.value("window.hacked === undefined && document.images.length === 0")


@pytest.fixture
def devtools(tmp_path: Path) -> Iterator[int]:
    with chromium(tmp_path / "profile") as port:
        yield port


@pytest.fixture
async def desk(devtools: int, tmp_path: Path) -> AsyncIterator[Desk]:
    async with admin_site(tmp_path) as site, first_page(devtools) as page:
        for domain in ("Page", "Network", "Runtime"):
            await page.call(f"{domain}.enable")
        await page.call("Page.addScriptToEvaluateOnNewDocument", source=_SPY)
        await page.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
        site.beating = dict(_ROOMY)
        await site.beat()
        for app_id in ("11", "12", "13"):
            await site.deployed(app_id, appName=f"shop {app_id}")
        site.beating |= _OTHERS
        await site.beat()
        async with asyncio.TaskGroup() as group:
            beats = group.create_task(site.keep_beating())
            yield Desk(site, page, beats)
            beats.cancel()


async def test_a_node_is_drained_and_enabled_and_the_token_is_nowhere(desk: Desk) -> None:
    """By the documented address with the token in its fragment, which a former address leads to."""
    page, plane = desk.page, desk.site.plane
    await desk.go(f"/deploy-nodes.html#token={ADMIN}")
    await desk.sees("n1", "HEALTHY")
    assert await page.value("location.href") == f"{desk.site.url}/admin/nodes-admin.html?mode=deploy"
    await desk.sees("n1", "3 (100\u00a0%)")
    await desk.sees("n3", "DRAINING")
    await desk.sees("n4", "UNHEALTHY")
    await desk.sees("n4", "8.0\u00a0% free · 40 GiB of 500 GiB")
    for name, level, free in (("n1", "good", 62), ("n3", "warn", 19.5), ("n4", "bad", 8)):
        bar = f"rowOf('{name}').querySelector('.disk')"
        assert await page.value(f"{bar}.dataset.level") == level
        assert float(await page.value(f"{bar}.getAttribute('aria-valuenow')")) == free
        lines = f"[...{bar}.querySelectorAll('.line')].map(each => parseFloat(getComputedStyle(each).left) / "
        drawn = await page.value(f"{lines} {bar}.clientWidth)")
        assert drawn == pytest.approx([0.15, 0.25], abs=0.01)

    await desk.press("n1", "Drain…")
    await desk.asked("Drain n1?")
    assert await page.value("document.querySelector('[data-plan]').textContent") == "3 of 3 apps fit: n2 gets 3"
    assert not (await plane.admin.drains()).items and (await desk.node("n1")).enabled
    # To the button by the keyboard alone.
    for _ in range(10):
        if await page.value("document.activeElement.dataset.consent !== undefined"):
            break
        await page.press_named("Tab", 9)
    await page.press_enter()
    await page.until("!document.querySelector('dialog[open]')", "the end of the dialog")
    (drain,) = (await plane.admin.drains()).items
    assert (drain.node, drain.state) == ("n1", DrainState.RUNNING)
    assert not (await desk.node("n1")).enabled
    for _ in range(3):
        job = await plane.claim(wait_seconds=20)
        assert job is not None
        await desk.site.report(job)

    async def over() -> bool:
        return (await plane.admin.drain_plan(drain.id)).state is DrainState.DONE

    await eventually(over)
    assert {move.state for move in (await plane.admin.drain_plan(drain.id)).moves} == {MoveState.MOVED}
    await page.until("document.body.innerText.includes('3 of 3 apps: 3 moved')", "the end of the drain")
    await desk.sees("n2", "3 (100\u00a0%)")

    await desk.press("n1", "Enable…")
    await desk.asked("Enable n1?")
    await desk.answer("Cancel")
    assert not (await desk.node("n1")).enabled
    await desk.press("n1", "Enable…")
    await desk.asked("Enable n1?")
    await desk.agreed("Enable")
    assert (await desk.node("n1")).enabled
    await desk.sees("n1", "Disable…")

    await page.value("1")
    addresses = [part for request in page.requested for part in request]
    assert len(page.requested) > 10 and not [each for each in addresses if ADMIN in each]
    assert desk.site.logged and not [line for line in desk.site.logged if ADMIN in line]
    assert any("/deploy-nodes.html HTTP" in line for line in desk.site.logged)
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, history.state, location.href])"
    assert ADMIN not in await page.value(kept) and ADMIN not in await page.value("document.documentElement.outerHTML")
    await desk.sees(MARKUP, "never sent a heartbeat")
    await desk.sound()
    await page.call("Page.reload")
    await page.until("document.getElementById('token')?.checkVisibility()", "the login")


async def test_what_changed_meanwhile_is_not_done_and_said(desk: Desk) -> None:
    await desk.enter("deploy")
    await desk.press("n2", "Disable…")
    await desk.asked("Disable n2?")
    order = {"name": "n2", "agentBaseUrl": "http://n2:7005", "gatewayBaseUrl": "http://n2:8088", "weight": 7}
    assert (await desk.site.ask("POST", "/deploy-nodes/upsert", json=order)).status_code == 200
    await desk.answer("Disable")
    said = "document.querySelector('dialog .problem')?.innerText ?? ''"
    await desk.page.until(f"({said}).includes('It changed since you saw it')", "the refusal")
    assert (await desk.node("n2")).enabled
    await desk.page.press_named("Escape", 27)
    await desk.page.until("!document.querySelector('dialog')", "the end of the dialog")
    assert await desk.page.value("document.activeElement.textContent") == "Disable…"
    # Whoever is about to press a button keeps it, however often the page is read anew.
    await desk.page.value("window.held = document.activeElement")
    before = len(desk.page.requested)

    async def read_again() -> bool:
        await desk.page.value("1")
        return len(desk.page.requested) >= before + 10

    await eventually(read_again)
    assert await desk.page.value("window.held.isConnected && document.activeElement === window.held")
    await desk.sees("n2", "7")
    await desk.press("n1", "Apps")
    await desk.page.until("document.querySelector('dialog[open]')?.innerText.includes('App 11')", "the apps")
    await desk.answer("Reassign…")
    await desk.page.until("document.querySelectorAll('dialog[open]').length === 2", "the question")
    # A node that is well comes first.
    chosen = "[...document.querySelectorAll('dialog[open] select')].at(-1).selectedOptions[0].textContent"
    assert (await desk.page.value(chosen)).startswith("n2 ")
    await desk.page.value("[...document.querySelectorAll('dialog[open] [data-consent]')].at(-1).click()")
    await desk.page.until("!document.querySelector('dialog')", "the end of the dialogs")
    second = (await desk.node("n2")).node_id
    assert [each.app_id for each in (await desk.site.plane.admin.placements(second)).items] == ["11"]
    # What the control plane would not take, it is asked, and its words are shown.
    await desk.press(MARKUP, "Drain…")
    await desk.asked(f"Drain {MARKUP}?")
    await desk.page.until(f"({said}).includes('Node:')", "the reason")
    assert await desk.page.value("document.querySelector('dialog [data-consent]').disabled")
    await desk.sound()


async def test_an_operator_logs_in_and_has_a_job_done_again(desk: Desk) -> None:
    page, plane = desk.page, desk.site.plane
    await plane.create("14", appName=MARKUP)
    failed = await plane.claim(wait_seconds=20)
    assert failed is not None
    await desk.site.report(failed, JobStatus.FAILED, f"npm ERR! {MARKUP}")
    await desk.go("/admin/nodes-admin.html?mode=deploy")
    await page.until("window.rowOf && document.getElementById('user-name')?.checkVisibility()", "the login")
    for field, words in (("user-name", "operator"), ("password", "wrong")):
        await page.value(f"document.getElementById('{field}').focus()")
        await page.call("Input.insertText", text=words)
    await page.press_enter()
    await page.until("document.getElementById('login-problem')?.checkVisibility()", "the refusal")
    await page.value("document.getElementById('password').value = ''; document.getElementById('password').focus()")
    await page.call("Input.insertText", text=PASSWORD)
    await page.press_enter()
    await desk.sees("n1", "HEALTHY")
    assert "operator (operator)" in await page.value("document.querySelector('header').innerText")
    assert not await page.value("[...document.querySelectorAll('button')].some(each => !each.hidden && "
                                "['Edit…', 'Add a node…'].includes(each.textContent))")  # fmt: skip

    await page.value("const list = document.getElementById('job-filter'); list.value = 'FAILED'; "
                     "list.dispatchEvent(new Event('change'))")  # fmt: skip
    await page.until("document.querySelectorAll('table[aria-label=Jobs] tbody tr').length === 1", "failed jobs alone")
    await desk.sees(failed.id[:8], MARKUP)
    await desk.press(failed.id[:8], "Retry…")
    await desk.asked(f"Retry job {failed.id[:8]}?")
    await desk.agreed("Retry")
    (again,) = (await plane.admin.page(status=JobStatus.PENDING)).items
    assert (again.retry_of, again.app_id) == (failed.id, "14")
    await page.value("list.value = ''; list.dispatchEvent(new Event('change'))")
    await desk.press(again.id[:8], "Cancel…")
    await desk.asked(f"Cancel job {again.id[:8]}?")
    await desk.agreed("Cancel the job")
    assert (await plane.admin.get(again.id)).status is JobStatus.CANCELLED
    await desk.press("r1", "Drain…")
    await desk.asked("Drain runner r1?")
    await desk.agreed("Drain")
    assert (await plane.admin.runners())[0].drained_at is not None

    async def renewed() -> bool:
        return any("/auth/refresh" in line for line in desk.site.logged)

    # The access token was good for seconds, and nobody noticed.
    await eventually(renewed)
    await desk.sees("r1", "drained")
    await desk.sound()

    await page.value("buttonOf(document.querySelector('header'), 'Log out').click()")
    await page.until("document.getElementById('user-name').checkVisibility()", "the login")
    assert await page.value("document.getElementById('view').childElementCount") == 0
    assert not [line for line in desk.site.logged if PASSWORD.split()[0] in line or "eyJ" in line]


async def test_workspace_nodes_are_cordoned_and_say_who_lives_there(desk: Desk) -> None:
    page, site = desk.page, desk.site
    known = {node["name"]: node for node in (await site.ask("GET", "/workspace-nodes/list")).json()["data"]["nodes"]}
    place = {"userId": 1, "targetNodeId": known["ws-1"]["nodeId"]}
    assert (await site.ask("POST", "/workspace-nodes/reassign", json=place)).status_code == 200
    await desk.enter("workspace")
    await desk.sees("ws-1", "3 running, 1 frozen, 2 stopped")
    await desk.sees("ws-1", "1 (100\u00a0%)")
    await desk.sees("ws-2", "20\u00a0% free · 40 GiB of 200 GiB")
    await desk.sees(MARKUP, "disabled")
    await desk.press("ws-1", "Cordon…")
    await desk.asked("Cordon ws-1?")
    await desk.agreed("Cordon")
    await desk.sees("ws-1", "cordoned")
    listed = (await site.ask("GET", "/workspace-nodes/list")).json()["data"]["nodes"]
    assert {node["name"]: node["cordoned"] for node in listed} == {MARKUP: False, "ws-1": True, "ws-2": False}
    await desk.press("ws-1", "Users")
    await page.until("document.querySelector('dialog[open]')?.innerText.includes('User 1')", "the user")
    await page.press_named("Escape", 27)
    await desk.press("ws-1", "Drain…")
    await desk.asked("Drain ws-1?")
    plan = "1 user moves with their files, a few at a time; 1 node takes users."
    assert await page.value("document.querySelector('[data-plan]').textContent") == plan
    await desk.agreed("Drain")
    await desk.sees("User 1", "ws-1 →")
    (move,) = (await site.ask("GET", "/workspace-moves/list")).json()["data"]["items"]
    assert (move["userId"], move["sourceNode"]) == ("1", "ws-1")
    await page.value("document.querySelector('[data-mode=deploy]').click()")
    await desk.sees("n1", "HEALTHY")
    assert await page.value("location.search") == "?mode=deploy"
    await desk.sound()


async def test_an_operator_is_told_that_what_is_shown_is_old(desk: Desk) -> None:
    await desk.enter("deploy")
    await desk.sees("n1", "HEALTHY")
    desk.beats.cancel()
    await asyncio.wait([desk.beats])
    await desk.site.plane.runner.cleanup()
    banner = "document.getElementById('stale')"
    await desk.page.until(f"{banner}.checkVisibility() && {banner}.innerText.includes('DEPLOY_PROXY_BASE_URL')", "why")
    assert "What you see below is old" in await desk.page.value(f"{banner}.innerText")
    await desk.sees("n1", "HEALTHY")
    assert await desk.page.value("document.querySelector('#view.stale') !== null")
    await desk.press("n1", "Disable…")
    await desk.asked("Disable n1?")
    await desk.answer("Disable")
    said = "document.querySelector('dialog .problem')?.innerText ?? ''"
    await desk.page.until(f"({said}).includes('does not answer')", "the refusal")
    await desk.sound()


async def test_a_token_that_came_by_the_query_is_not_used(desk: Desk) -> None:
    await desk.go(f"/admin/nodes-admin.html?mode=deploy&token={ADMIN}")
    await desk.page.until("document.body.innerText.includes('Replace it')", "the warning")
    assert await desk.page.value("location.search") == "?mode=deploy"
    assert await desk.page.value("document.getElementById('token').checkVisibility()")
    # Nor may another token than the API's open anything.
    await desk.go("/admin/nodes-admin.html?mode=deploy#token=guessed-token-0123456789")
    await desk.page.until("document.getElementById('login-problem')?.checkVisibility()", "the refusal")
    assert "valid token" in await desk.page.value("document.getElementById('login-problem').innerText")


@pytest.mark.parametrize("mode", ["deploy", "workspace"])
async def test_it_fits_a_phone_and_both_themes(desk: Desk, mode: str) -> None:
    page = desk.page
    await desk.enter(mode)
    await desk.sees({"deploy": "n1", "workspace": "ws-1"}[mode], "HEALTHY")
    grounds = set()
    for theme in ("light", "dark"):
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        for width, height in ((1280, 900), (390, 844)):
            await page.call(
                "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
            )
            assert await page.value("document.documentElement.scrollWidth <= innerWidth"), (theme, width)
            wide = "[...document.querySelectorAll('td, button, .address')].filter(each => each.checkVisibility() && "
            wide += "each.getBoundingClientRect().right > innerWidth + 1).map(each => each.outerHTML)"
            assert await page.value(wide) == [], (theme, width)
        grounds.add(await page.value("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2
    nameless = "[...document.querySelectorAll('button, a, input, select')].filter(each => "
    nameless += "!(each.textContent.trim() || each.labels?.length || each.ariaLabel)).map(each => each.outerHTML)"
    assert await page.value(nameless) == []
    await desk.sound()
