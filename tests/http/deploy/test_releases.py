"""Releases over HTTP: the ledger, rollback, pins, and what is removed from the registry."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from daemons.deploy.domain.releases import KEPT
from daemons.deploy.ports import Transaction
from protocol.apps import AppCommand
from protocol.client.transport import Refused
from protocol.jobs import JobStatus, JobView, OnConflict, RenewLease, ReportJob
from protocol.nodes import ImagesInUse
from protocol.releases import PresentIn, RollbackApp, RollbackJob
from tests.http.deploy.plane import Plane, serving
from tests.support.eventually import eventually
from tests.support.registries import RegistryTwin

APP, HOST = "20001", "registry.test:5000"
REPOSITORY = f"funaistudio/u1-app{APP}"
REGISTRY = {
    "DEPLOY_REGISTRY_CLEANUP_ENABLED": "true",
    "DEPLOY_REGISTRY_CLEANUP_KIND": "registry",
    "DEPLOY_REGISTRY_CLEANUP_BASE_URL": f"http://{HOST}",
}
LOCAL = f"funaistudio/u1-app{APP}"


async def ended(plane: Plane, status: JobStatus = JobStatus.SUCCEEDED, **report: object) -> JobView:
    """The pending job, claimed and reported twice."""
    job = await plane.claim()
    assert job is not None
    body = ReportJob.model_validate(
        {"runnerId": job.runner_id, "leaseToken": job.lease_token, "status": status, **report}
    )
    await plane.runners.report(job.id, body)
    return await plane.runners.report(job.id, body)


async def deployed(plane: Plane, image: str, app_id: str = APP, commit: str = "c0ffee", **payload: object) -> JobView:
    """A success that ran this image."""
    await plane.create(app_id, **payload)
    digest = image.partition("@")[2] or None
    return await ended(plane, image=image, imageDigest=digest, commit=commit)


async def pushed(plane: Plane, registry: RegistryTwin, text: str) -> str:
    """A success whose image is in the registry; the reference."""
    image = f"{HOST}/{REPOSITORY}@{await registry.put(REPOSITORY, f'aaaaaaa-{text}', text)}"
    await deployed(plane, image)
    return image


async def back(plane: Plane, release: int | None = None, **more: object) -> RollbackJob:
    return await plane.api.rollback(APP, RollbackApp.model_validate({"userId": "1", "release": release, **more}))


async def refused(plane: Plane, release: int | None = None, **more: object) -> tuple[int, str | None, str]:
    with pytest.raises(Refused) as caught:
        await back(plane, release, **more)
    return caught.value.status, caught.value.reason, str(caught.value)


@asynccontextmanager
async def planes(registry: RegistryTwin | None = None, **changes: object) -> AsyncIterator[Plane]:
    given: dict[str, Any] = {**(REGISTRY if registry else {}), **changes}
    async with serving(registry=registry, **given) as plane:
        await plane.beat()
        yield plane


async def test_every_success_is_one_release_and_a_repeated_report_or_a_failure_none() -> None:
    async with planes() as plane:
        first = await deployed(plane, f"{LOCAL}:0123456789ab-1", commit="1" * 40, containerPort=8080)
        await plane.create()
        await ended(plane, JobStatus.FAILED, errorMessage="no")
        second = await deployed(plane, f"{LOCAL}:abcdef012345-3", commit="2" * 40, healthCheckPath="/ready")
        page = await plane.api.releases(APP)
        assert [(item.number, item.job_id, item.current) for item in page.items] == [
            (2, second.id, True),
            (1, first.id, False),
        ]
        two, one = page.items
        assert (one.image, one.commit, one.image_digest, one.pinned) == (
            f"{LOCAL}:0123456789ab-1",
            "1" * 40,
            None,
            False,
        )
        assert (one.container_port, one.base_path, one.health_check_path) == (8080, f"/runtime/{APP}", "/")
        assert one.config_hash != two.config_hash and two.health_check_path == "/ready"
        assert one.node_id == 1 and page.next_cursor is None and page.cleanup is None
        assert (await plane.api.releases("another")).items == ()


async def test_releases_are_paged_by_cursor() -> None:
    async with planes() as plane:
        for number in range(1, 6):
            await deployed(plane, f"{LOCAL}:0123456789ab-{number}")
        seen, cursor = [], None
        while True:
            page = await plane.api.releases(APP, cursor=cursor, limit=2)
            assert page.cleanup is None, "nothing is removed here"
            seen += [item.number for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == [5, 4, 3, 2, 1]
        for bad in ("x", "-1", "1e3", "9" * 30):
            answer = await plane.call("GET", f"/deploy/apps/{APP}/releases?cursor={bad}", role="api")
            assert answer.status_code == 400 and "cursor" in answer.json()["message"]


async def test_a_rollback_is_a_job_without_a_build_and_becomes_a_release() -> None:
    async with planes() as plane:
        await deployed(plane, f"{LOCAL}:0123456789ab-1", commit="1" * 40, containerPort=8080, gitRef="main")
        await deployed(plane, f"{LOCAL}:abcdef012345-2", commit="2" * 40)
        plane.agent.local = [f"localhost/{LOCAL}:0123456789ab-1", f"{LOCAL}:abcdef012345-2"]
        job = await back(plane)
        assert (job.status, job.release, job.present_in) == (JobStatus.PENDING, 1, PresentIn.NODE)
        assert (job.payload.image, job.payload.container_port) == (f"{LOCAL}:0123456789ab-1", 8080)
        assert job.payload.git_ref == "main" and job.waiting_for is not None
        await ended(plane, image=f"{LOCAL}:0123456789ab-1")
        newest = (await plane.api.releases(APP)).items[0]
        assert (newest.number, newest.current, newest.commit) == (3, True, "1" * 40)
        assert plane.agent.calls[-1][:4] == ("images", "http://n1:7005", "1", APP)
        assert (await back(plane)).release == 2


async def test_a_rollback_names_the_digest_and_says_that_the_registry_has_it() -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        image = await pushed(plane, registry, "one")
        await pushed(plane, registry, "two")
        job = await back(plane, 1)
        assert (job.payload.image, job.present_in) == (image, PresentIn.REGISTRY)
        assert plane.agent.calls == []


async def test_an_image_that_only_the_node_has_is_enough() -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        image = await pushed(plane, registry, "one")
        await pushed(plane, registry, "two")
        registry.images.clear()
        plane.agent.local = [image]
        assert (await back(plane)).present_in is PresentIn.NODE


async def test_what_cannot_come_back_is_refused_with_the_reason() -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        assert (await refused(plane))[:2] == (404, "not_found")
        await pushed(plane, registry, "one")
        assert (await refused(plane))[:2] == (404, "not_found")
        await deployed(plane, f"{HOST}/{REPOSITORY}:latest")
        await pushed(plane, registry, "two")
        assert (await refused(plane, 9))[:2] == (404, "not_found")
        assert (await refused(plane, 1, userId="2"))[:2] == (404, "not_found")
        assert (await refused(plane, 2))[:2] == (409, "image_mutable")
        registry.images.clear()
        status, reason, words = await refused(plane, 1)
        assert (status, reason) == (409, "image_gone")
        assert f"registry {HOST} does not have it" in words and "node n1 does not have it" in words
        registry.problem = "the registry is asleep"
        assert await refused(plane, 1) == (502, "peer_failed", "the registry is asleep")
        assert len(await plane.api.of_app(APP)) == 3


async def test_who_cannot_look_into_the_registry_says_so() -> None:
    async with planes() as plane:
        for text in ("a", "b"):
            await deployed(plane, f"{HOST}/{REPOSITORY}@sha256:{text * 64}")
        status, reason, words = await refused(plane)
        assert (status, reason) == (409, "image_gone") and "DEPLOY_REGISTRY_CLEANUP_BASE_URL" in words
        plane.agent.problem = "the agent is away"
        assert (await refused(plane))[:2] == (502, "peer_failed")


async def test_a_rollback_meets_an_active_job_as_any_order_does() -> None:
    async with planes() as plane:
        for number in (1, 2):
            await deployed(plane, f"{LOCAL}:0123456789ab-{number}")
        plane.agent.local = [f"{LOCAL}:0123456789ab-1"]
        pending = await plane.create()
        assert (await refused(plane))[:2] == (409, "app_busy")
        job = await back(plane, onConflict=OnConflict.SUPERSEDE)
        assert (await plane.api.get(pending.id)).superseded_by == job.id
        order = RollbackApp(user_id="1", on_conflict=OnConflict.SUPERSEDE)
        first = await plane.api.rollback(APP, order, idempotency_key="once")
        again = await plane.api.rollback(APP, order, idempotency_key="once")
        assert first.id == again.id != job.id


async def test_pins_are_kept_and_told() -> None:
    async with planes() as plane:
        await deployed(plane, f"{LOCAL}:0123456789ab-1")
        assert (await plane.admin.pin_release(APP, 1, pinned=True)).pinned
        assert (await plane.api.releases(APP)).items[0].pinned
        assert not (await plane.admin.pin_release(APP, 1, pinned=False)).pinned
        with pytest.raises(Refused) as caught:
            await plane.admin.pin_release(APP, 2, pinned=True)
        assert (caught.value.status, caught.value.reason) == (404, "not_found")
        events = await plane.store.transact(lambda tx: tx.events_after(0, 100))
        told = [(event.change, event.actor.name, event.subject) for event in events if "pinned" in event.change]
        assert told == [("release 1 pinned", "admin", APP), ("release 1 unpinned", "admin", APP)]


async def test_only_the_newest_three_and_pinned_ones_stay_in_the_registry() -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        images = [await pushed(plane, registry, "v1")]
        await plane.api.pin_release(APP, 1, pinned=True)
        registry.images["funaistudio/u2-app20001"] = {"sha256:" + "f" * 64: {"other"}}
        for number in range(2, 3 + KEPT):
            images.append(await pushed(plane, registry, f"v{number}"))
        digests = [image.partition("@")[2] for image in images]
        wanted = {digests[0], *digests[-KEPT:]}
        await eventually(lambda: have(registry, wanted))
        items = (await plane.api.releases(APP)).items
        assert [item.number for item in items if item.image_removed_at] == [2]
        assert (await refused(plane, 2))[:2] == (409, "image_gone")
        assert len(registry.images["funaistudio/u2-app20001"]) == 1
        await plane.api.pin_release(APP, 1, pinned=False)
        await eventually(lambda: have(registry, set(digests[-KEPT:])))


async def test_agents_are_told_which_images_must_stay() -> None:
    async with planes() as plane:
        images = [f"{LOCAL}:{letter * 7}-{number}" for number, letter in enumerate("abcdef", 1)]
        for image in images:
            await deployed(plane, image)
        await plane.api.pin_release(APP, 1, pinned=True)
        await plane.create("20002")
        order = ImagesInUse(node_name="n1", app_ids=(APP, "20002", "20003"))
        mine, pending, gone = (await plane.nodes.images(order)).apps
        own = {name for name in mine.kept if "/u1" in name and not name.startswith(("localhost/", "docker.io/"))}
        assert own == {images[5], images[4], images[0]} and mine.known
        assert images[3] in mine.recent and images[2] not in (*mine.kept, *mine.recent)
        assert f"docker.io/{images[5]}" in mine.kept
        assert pending.known and (gone.known, gone.kept, gone.recent) == (False, (), ())
        with pytest.raises(Refused) as caught:
            await plane.nodes.images(ImagesInUse.model_construct(node_name="n1", app_ids=("../x",)))
        assert caught.value.status == 400


@pytest.mark.parametrize("phase", ["BUILD", "DEPLOY"])
async def test_a_repository_is_looked_at_after_a_failure_that_came_after_the_push(phase: str) -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        for number in range(KEPT + 2):
            await registry.put(REPOSITORY, f"fffffff-{number}", str(number))
        newest = {*list(registry.images[REPOSITORY])[-KEPT:]}
        await plane.create()
        job = await plane.claim()
        assert job is not None
        proof = {"runnerId": job.runner_id, "leaseToken": job.lease_token}
        await plane.runners.renew(job.id, RenewLease.model_validate({**proof, "phase": phase}))
        report = ReportJob.model_validate({**proof, "status": JobStatus.FAILED, "errorMessage": "no"})
        await plane.runners.report(job.id, report)
        if phase == "BUILD":
            assert await plane.store.transact(lambda tx: tx.review(APP)) is None
            assert len(registry.images[REPOSITORY]) == KEPT + 2
        else:
            await eventually(lambda: have(registry, newest))


async def have(registry: RegistryTwin, digests: set[str]) -> bool:
    return set(registry.images.get(REPOSITORY, {})) == digests


async def test_cleaning_up_an_app_removes_exactly_its_own_repository() -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        await pushed(plane, registry, "one")
        for other in ("funaistudio/u1-app200010", "funaistudio/u11-app20001", "other/u1-app20001"):
            await registry.put(other, "latest", "one")
        cleaned = await plane.api.cleanup_app(AppCommand(user_id="1", app_id=APP))
        assert cleaned.registry == {
            "enabled": True,
            "deleted": [],
            "failed": [],
            "repoDeleted": [REPOSITORY],
            "repoFailed": [],
        }
        assert sorted(registry.images) == ["funaistudio/u1-app200010", "funaistudio/u11-app20001", "other/u1-app20001"]
        assert (await plane.api.releases(APP)).items == ()


async def test_a_registry_that_fails_is_asked_again_and_the_caller_is_told() -> None:
    registry = RegistryTwin()
    async with planes(registry) as plane:
        await pushed(plane, registry, "one")
        registry.problem = "the registry is asleep"
        cleaned = await plane.api.cleanup_app(AppCommand(user_id="1", app_id=APP))
        failed = cleaned.registry["repoFailed"]
        assert failed == [{"repository": REPOSITORY, "error": "the registry is asleep; it will be tried again"}]
        cleanup = (await plane.api.releases(APP)).cleanup
        assert cleanup is not None and cleanup.last_error == "the registry is asleep"
        registry.problem = None

        async def soon(tx: Transaction) -> None:
            await tx.ask_review(APP, "1", 0)

        await plane.store.transact(soon)
        await eventually(lambda: have(registry, set()))


async def test_without_a_registry_the_clean_up_says_that_it_is_off() -> None:
    async with planes() as plane:
        await deployed(plane, f"{LOCAL}:0123456789ab-1")
        cleaned = await plane.api.cleanup_app(AppCommand(user_id="1", app_id=APP))
        assert cleaned.registry == {"enabled": False}


@pytest.mark.parametrize("body", [{}, {"userId": "x"}, {"userId": 1, "release": 0}, {"userId": 1, "release": "1"}])
async def test_a_rollback_that_is_not_well_formed_is_refused(body: dict[str, object]) -> None:
    async with planes() as plane:
        answer = await plane.call("POST", f"/deploy/apps/{APP}/rollback", role="api", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request")
