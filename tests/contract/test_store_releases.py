"""Releases and image reviews in the store, over every database."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from daemons.deploy.adapters.store import open_store
from daemons.deploy.domain.releases import BEING_REMOVED, Release, Review
from daemons.deploy.ports import Store, Transaction

FULL = Release(
    app_id="shop",
    number=1,
    user_id="9223372036854775807",
    job_id="00000000-0000-4000-8000-000000000001",
    image="registry.example:5000/funaistudio/u1-appshop@sha256:" + "a" * 64,
    image_digest="sha256:" + "a" * 64,
    commit="c" * 40,
    config_hash="b" * 64,
    payload={"userId": "1", "appName": "é 漢 😀 ' \" \\ % %s :name", "containerPort": 8080},
    node_id=2**40,
    created_at=1_700_000_000_123,
    pinned=True,
    held_until=1_700_000_000_456,
    image_removed_at=1_700_000_000_789,
)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with open_store(database_url) as opened:
        yield opened


def release(number: int, app_id: str = "shop") -> Release:
    return replace(
        FULL,
        app_id=app_id,
        number=number,
        job_id=f"{app_id}-{number}",
        pinned=False,
        held_until=0,
        image_removed_at=None,
    )


async def insert(store: Store, *releases: Release) -> list[bool]:
    async def work(tx: Transaction) -> list[bool]:
        return [await tx.insert_release(each) for each in releases]

    return await store.transact(work)


async def test_a_release_comes_back_as_it_was_written(store: Store) -> None:
    bare = replace(release(2), image_digest=None, commit=None, node_id=None, payload={})
    assert await insert(store, FULL, bare) == [True, True]
    assert await store.transact(lambda tx: tx.release("shop", 1)) == FULL
    assert await store.transact(lambda tx: tx.release("shop", 2)) == bare
    assert await store.transact(lambda tx: tx.release("shop", 3)) is None
    assert await store.transact(lambda tx: tx.release("blog", 1)) is None


async def test_a_number_is_used_once_per_app_and_a_job_releases_once(store: Store) -> None:
    assert await insert(store, release(1), replace(release(1), job_id="other"), release(1, "blog")) == [
        True,
        False,
        True,
    ]
    assert await insert(store, replace(release(2), job_id="shop-1"), release(2)) == [False, True]


async def test_releases_are_read_newest_first_below_a_number(store: Store) -> None:
    await insert(store, *(release(number) for number in (3, 1, 2)), release(9, "blog"))

    async def numbers(before: int, limit: int) -> list[int]:
        return [each.number for each in await store.transact(lambda tx: tx.releases("shop", before, limit))]

    assert await numbers(2**31, 10) == [3, 2, 1]
    assert await numbers(2**31, 1) == [3]
    assert await numbers(3, 10) == [2, 1]
    assert await numbers(1, 10) == []


async def test_marks_are_all_that_changes_and_removed_images_are_left_out(store: Store) -> None:
    await insert(store, release(1), release(2), release(3))

    async def work(tx: Transaction) -> None:
        await tx.mark_release(replace(release(1), image_removed_at=5, commit="ignored"))
        await tx.mark_release(replace(release(2), pinned=True, held_until=BEING_REMOVED))

    await store.transact(work)
    assert await store.transact(lambda tx: tx.release("shop", 1)) == replace(release(1), image_removed_at=5)
    assert await store.transact(lambda tx: tx.releases_with_images("shop")) == [
        release(3),
        replace(release(2), pinned=True, held_until=BEING_REMOVED),
    ]


async def test_an_apps_releases_are_forgotten_alone(store: Store) -> None:
    await insert(store, release(1), release(2), release(1, "blog"))
    assert await store.transact(lambda tx: tx.delete_releases("shop")) == 2
    assert await store.transact(lambda tx: tx.releases("shop", 9, 9)) == []
    assert await store.transact(lambda tx: tx.releases("blog", 9, 9)) == [release(1, "blog")]


async def test_a_review_that_is_asked_for_again_starts_over_under_a_new_version(store: Store) -> None:
    async def ask(user_id: str | None, not_before: int) -> Review:
        async def work(tx: Transaction) -> Review | None:
            await tx.ask_review("shop", user_id, not_before)
            return await tx.review("shop")

        found = await store.transact(work)
        assert found is not None
        return found

    first = await ask("1", 10)
    assert first == Review("shop", "1", 10, 0, None, 1)
    failed = replace(first, not_before=20, attempts=3, last_error="é %s", version=2)
    assert await store.transact(lambda tx: tx.save_review(failed, first))
    assert await store.transact(lambda tx: tx.review("shop")) == failed
    assert await ask(None, 30) == Review("shop", None, 30, 0, None, 3)


async def test_who_holds_an_older_version_neither_saves_nor_deletes(store: Store) -> None:
    async def ask(tx: Transaction) -> Review | None:
        await tx.ask_review("shop", None, 10)
        return await tx.review("shop")

    old = await store.transact(ask)
    new = await store.transact(ask)
    assert old is not None and new is not None
    assert not await store.transact(lambda tx: tx.save_review(replace(old, attempts=9), old))
    assert not await store.transact(lambda tx: tx.delete_review(old))
    assert await store.transact(lambda tx: tx.review("shop")) == new
    assert await store.transact(lambda tx: tx.delete_review(new))
    assert await store.transact(lambda tx: tx.review("shop")) is None


async def test_due_reviews_come_longest_waiting_first(store: Store) -> None:
    async def work(tx: Transaction) -> None:
        for app_id, not_before in (("a", 30), ("b", 10), ("c", 20), ("d", 31)):
            await tx.ask_review(app_id, None, not_before)

    await store.transact(work)

    async def due(limit: int, now: int) -> list[str]:
        return [each.app_id for each in await store.transact(lambda tx: tx.due_reviews(limit, now))]

    assert await due(10, 30) == ["b", "c", "a"]
    assert await due(1, 30) == ["b"]
    assert await due(10, 9) == []
