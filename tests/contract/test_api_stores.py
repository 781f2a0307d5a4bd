"""Users, apps and keys over every database, and their limits under many writers at once."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemons.api.adapters.sql.deletions import SqlDeletions
from daemons.api.adapters.sql.domains import SqlDomains
from daemons.api.adapters.sql.pushes import SqlPushes
from daemons.api.adapters.sql.repositories import SqlRepositories
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlApps, SqlKeys, SqlUsers
from daemons.api.domain.access import NotFound
from daemons.api.domain.apps import FRESH_PLACE_MS, App, AppLimit, Draft, NameTaken
from daemons.api.domain.deletions import attempted, underway
from daemons.api.domain.domains import DomainLimit, UnknownDomain
from daemons.api.domain.pushes import PushRule, deployed, postponed
from daemons.api.domain.repositories import attempted as set_up
from daemons.api.domain.slugs import SlugTaken
from daemons.api.ports import KeyLimit, KeyTaken
from daemons.kit.sql import Database, migrate, open_database
from protocol.api import AppPart, RepoStatus
from protocol.pushes import PushOutcome


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, QUERIES) as database:
        await migrate(database, COMPONENT, MIGRATIONS)
        for user_id in (1, 2):
            await SqlUsers(database).ensure(user_id, f"user{user_id}")
        yield database


async def made(database: Database, count: int, user_id: int = 1) -> list[App]:
    return [await SqlApps(database).create(user_id, Draft(), None, 100) for _ in range(count)]


async def test_users_are_made_once(database: Database) -> None:
    users = SqlUsers(database)
    await users.ensure(1, "another name")
    found = await users.user(1)
    assert found is not None
    assert found.name == "user1"
    assert await users.user(3) is None


async def test_apps_count_from_20001_and_survive_a_second_migration(database: Database) -> None:
    apps = SqlApps(database)
    first, second = await made(database, 2)
    assert (first.id, second.id) == (20001, 20002)
    assert await migrate(database, COMPONENT, MIGRATIONS) == 0
    assert await apps.app(20001) == first
    assert await apps.app(20003) is None
    assert await apps.of_user(1) == [first, second]
    assert await apps.of_user(2) == []
    (foreign,) = await made(database, 1, user_id=2)
    assert await apps.every() == [first, second, foreign]


async def test_names_are_unique_per_user_and_keep_their_letters(database: Database) -> None:
    apps = SqlApps(database)
    shop = await apps.create(1, Draft("Läden 商店 🛒", "two\nlines", "web"), None, 20)
    assert await apps.app(shop.id) == shop
    assert (await apps.create(1, Draft("läden 商店 🛒"), None, 20)).id != shop.id
    with pytest.raises(NameTaken):
        await apps.create(1, Draft("Läden 商店 🛒"), None, 20)
    await apps.create(2, Draft("Läden 商店 🛒"), None, 20)


async def test_of_many_who_want_one_slug_exactly_one_gets_it(database: Database) -> None:
    apps, mine = SqlApps(database), await made(database, 12)
    outcomes = await asyncio.gather(
        *(apps.update(app, Draft(f"named {app.id}", slug="my-shop")) for app in mine), return_exceptions=True
    )
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, App)]
    assert winner.slug == "my-shop" and await apps.slug_holder("my-shop") == winner.id
    assert sum(isinstance(outcome, SlugTaken) for outcome in outcomes) == 11
    names = {app.name for app in await apps.every()}
    assert len([name for name in names if name.startswith("named ")]) == 1, "whoever gets no slug gets no name either"


async def test_two_apps_that_change_slugs_with_each_other_end_with_one_each(database: Database) -> None:
    apps, (first, second) = SqlApps(database), await made(database, 2)
    for _ in range(5):
        await apps.update(first, Draft(slug="one-shop"))
        await apps.update(second, Draft(slug="two-shop"))
        await asyncio.gather(
            apps.update(first, Draft(slug="two-shop")),
            apps.update(second, Draft(slug="one-shop")),
            return_exceptions=True,
        )
        slugs = {app.slug for app in await apps.every()}
        assert slugs <= {"one-shop", "two-shop"} and len(slugs) == 2
        for app in (first, second):
            await apps.update(app, Draft(slug=""))
    assert [app.slug for app in await apps.every()] == [None, None]


async def test_a_slug_outlives_its_app_until_the_deletion_is_done(database: Database) -> None:
    apps, deletions = SqlApps(database), SqlDeletions(database)
    first, second = await made(database, 2)
    await apps.update(first, Draft(slug="my-shop"))
    await deletions.begin(1, first.id)
    with pytest.raises(SlugTaken):
        await apps.update(second, Draft(slug="my-shop"))
    with pytest.raises(NotFound):
        await apps.update(first, Draft(slug="new-shop"))
    assert await apps.slug_holder("new-shop") is None
    claimed = await deletions.claim(60_000)
    assert claimed is not None
    left = replace(claimed, next_at=1)
    assert await deletions.save(left, claimed) and await apps.slug_holder("my-shop") == first.id
    claimed = await deletions.claim(60_000)
    assert claimed is not None
    assert await deletions.save(replace(claimed, next_at=None, done_at=2), claimed)
    assert (await apps.update(second, Draft(slug="my-shop"))).slug == "my-shop"


async def test_a_host_is_one_apps_however_many_prove_it_at_once(database: Database) -> None:
    domains, mine = SqlDomains(database), await made(database, 8)
    claims = [await domains.add(1, app.id, "www.shop.example", f"proof{app.id}", 5) for app in mine]
    verified = await asyncio.gather(*(domains.verify(claim, None) for claim in claims))
    (winner,) = [claim for claim in verified if claim is not None]
    assert await domains.holder("www.shop.example") == winner == (await domains.verified())[0]
    other = next(claim for claim in claims if claim.app_id != winner.app_id)
    taken = await domains.verify(other, winner)
    assert taken is not None and await domains.holder("www.shop.example") == taken
    assert (
        await domains.verify(claims[0] if claims[0].app_id not in (winner.app_id, other.app_id) else claims[2], winner)
        is None
    )
    assert await domains.holder("www.shop.example") == taken


async def test_claims_are_counted_and_go_with_their_app(database: Database) -> None:
    domains, (app, other) = SqlDomains(database), await made(database, 2)
    outcomes = await asyncio.gather(
        *(domains.add(1, app.id, f"n{number}.example", "proof", 5) for number in range(12)), return_exceptions=True
    )
    assert sum(isinstance(outcome, DomainLimit) for outcome in outcomes) == 7
    claim, kept = await domains.add(1, other.id, "kept.example", "proof", 5), (await domains.of_app(app.id))[0]
    assert await domains.verify(kept, None) is not None and await domains.verify(claim, None) is not None
    await SqlDeletions(database).begin(1, app.id)
    assert [each.host for each in await domains.verified()] == ["kept.example"]
    assert await domains.of_app(app.id) == []
    for call in (domains.add(1, app.id, "new.example", "proof", 5), domains.verify(kept, None)):
        with pytest.raises((NotFound, UnknownDomain)):
            await call
    assert await domains.remove(other.id, "kept.example") and not await domains.remove(other.id, "kept.example")


async def test_a_repeated_idempotency_key_answers_the_first_app(database: Database) -> None:
    apps = SqlApps(database)
    found = await asyncio.gather(*(apps.create(1, Draft(), "key", 20) for _ in range(10)))
    assert len({app.id for app in found}) == 1
    assert len(await apps.of_user(1)) == 1


async def test_many_creates_at_once_stop_at_the_limit(database: Database) -> None:
    apps = SqlApps(database)
    outcomes = await asyncio.gather(*(apps.create(1, Draft(), None, 5) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(outcome, App) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, AppLimit) for outcome in outcomes) == 15


async def test_many_deployments_at_once_take_exactly_the_places_there_are(database: Database) -> None:
    apps, mine = SqlApps(database), await made(database, 12)
    taken = await asyncio.gather(*(apps.take_place(app, 3) for app in mine))
    assert sum(moment is not None for moment in taken) == 3
    (foreign,) = await made(database, 1, user_id=2)
    assert await apps.take_place(foreign, 3) is not None


async def test_a_place_that_was_taken_anew_is_not_given_away(database: Database) -> None:
    apps, (app, other) = SqlApps(database), await made(database, 2)
    first = await apps.take_place(app, 1)
    assert first is not None
    assert await apps.take_place(other, 1) is None
    assert not await apps.leave_place(app.id, first - 1)
    assert await apps.leave_place(app.id, first)
    assert await apps.take_place(other, 1) is not None


async def test_a_stop_is_noted(database: Database) -> None:
    apps, (app,) = SqlApps(database), await made(database, 1)
    await apps.mark_stopped(app.id, "job-1")
    found = await apps.app(app.id)
    assert found is not None
    assert found.stopped_job == "job-1"


async def test_a_key_belongs_to_one_user(database: Database) -> None:
    keys = SqlKeys(database)
    stored = await keys.add(1, "laptop", "ssh-ed25519 AAAA", "SHA256:a", 2)
    with pytest.raises(KeyTaken):
        await keys.add(2, "laptop", "ssh-ed25519 AAAA", "SHA256:a", 2)
    second = await keys.add(1, "desk", "ssh-ed25519 BBBB", "SHA256:A", 2)
    with pytest.raises(KeyLimit):
        await keys.add(1, "third", "ssh-ed25519 CCCC", "SHA256:c", 2)
    assert await keys.of_user(1) == [stored, second]
    assert not await keys.remove(2, stored.id)
    assert await keys.remove(1, stored.id)
    assert not await keys.remove(1, stored.id)
    assert await keys.every() == [second]


async def test_a_deleted_app_is_gone_and_its_deletion_stays(database: Database) -> None:
    apps, deletions, (app, other) = SqlApps(database), SqlDeletions(database), await made(database, 2)
    with pytest.raises(NotFound):
        await deletions.begin(2, app.id)
    begun = await deletions.begin(1, app.id)
    assert (begun.app_id, begun.app_name, begun.left) == (app.id, app.name, tuple(AppPart))
    assert await deletions.begin(1, app.id) == begun == await deletions.find(app.id)
    assert [await deletions.owner(each) for each in (app.id, other.id, other.id + 1)] == [1, 1, None]
    with pytest.raises(NotFound):
        await deletions.begin(2, app.id)
    assert await apps.of_user(1) == [other]
    with pytest.raises(NotFound):
        await apps.take_place(app, 3)
    with pytest.raises(NotFound):
        await apps.update(app, Draft("late"))
    assert (await apps.create(1, Draft(app.name), None, 2)).id > other.id


async def test_a_deployment_on_its_way_is_waited_for(database: Database) -> None:
    apps, deletions, (app,) = SqlApps(database), SqlDeletions(database), await made(database, 1)
    taken = await apps.take_place(app, 3)
    assert taken is not None
    assert (await deletions.begin(1, app.id)).settled_at == taken + FRESH_PLACE_MS


async def test_each_deletion_is_worked_on_by_one(database: Database) -> None:
    deletions, mine = SqlDeletions(database), await made(database, 5)
    for app in mine:
        await deletions.begin(1, app.id)
    claims = [one for one in await asyncio.gather(*(deletions.claim(60_000) for _ in range(20))) if one is not None]
    while (more := await deletions.claim(60_000)) is not None:
        claims.append(more)
    assert sorted(one.app_id for one in claims) == [app.id for app in mine]
    now = await deletions.now()
    so_far = underway(claims[0], {AppPart.ACCESS: None})
    assert await deletions.save(so_far, claims[0]) and await deletions.claim(60_000) is None, "it is held as it was"
    told = await deletions.find(claims[0].app_id)
    assert told == so_far and AppPart.ACCESS not in told.left
    done = attempted(claims[0], {}, now)
    assert await deletions.save(done, claims[0])
    assert not await deletions.save(done, claims[0])
    left = attempted(claims[1], {AppPart.REPOSITORY: "away"}, now - 60_000)
    assert await deletions.save(left, claims[1])
    again = await deletions.claim(60_000)
    assert again is not None and (again.app_id, again.left, again.problem) == (
        left.app_id,
        (AppPart.REPOSITORY,),
        "repository: away",
    )
    assert not await deletions.save(left, claims[1]), "whoever held it too long finds it taken over"
    assert [one.app_id for one in await deletions.unfinished()] == sorted(
        app.id for app in mine if app.id != done.app_id
    )
    assert await deletions.forget(60_000) == 0 and await deletions.forget(-60_000) == 1
    assert await deletions.find(done.app_id) is None


async def test_each_repository_is_set_up_by_one(database: Database) -> None:
    repositories, mine = SqlRepositories(database), await made(database, 5)
    claims = [each for each in await asyncio.gather(*(repositories.claim(60_000) for _ in range(20))) if each]
    while (more := await repositories.claim(60_000)) is not None:
        claims.append(more)
    assert sorted(each.app_id for each in claims) == [app.id for app in mine]
    assert not any(each.begun or each.attempts for each in claims)
    now = await repositories.now()
    ready, failed = claims[0], claims[1]
    assert await repositories.save(ready, set_up(ready, None, now))
    assert not await repositories.save(ready, set_up(ready, None, now))
    assert await repositories.save(failed, set_up(failed, "away", now - 60_000))
    found = [await SqlApps(database).app(each.app_id) for each in (ready, failed)]
    assert [(app.repo_status, app.repo_reason) for app in found if app] == [
        (RepoStatus.READY, None),
        (RepoStatus.FAILED, "away"),
    ]
    again = await repositories.claim(60_000)
    assert again is not None and (again.app_id, again.attempts) == (failed.app_id, 1)
    assert not await repositories.save(failed, set_up(failed, None, now)), "whoever held it too long is too late"
    assert await repositories.claim(60_000) is None


async def test_a_hold_that_is_over_is_taken_over(database: Database) -> None:
    repositories, (app,) = SqlRepositories(database), await made(database, 1)
    first = await repositories.claim(-1)
    second = await repositories.claim(60_000)
    assert first is not None and second is not None and first.app_id == second.app_id == app.id
    now = await repositories.now()
    assert not await repositories.save(first, set_up(first, None, now))
    assert await repositories.save(second, set_up(second, None, now))


async def test_what_is_wanted_meanwhile_is_looked_at_again(database: Database) -> None:
    repositories, pushes, (app,) = SqlRepositories(database), SqlPushes(database), await made(database, 1)
    claimed = await repositories.claim(60_000)
    assert claimed is not None
    await pushes.set_rule(app.id, PushRule(enabled=True))
    assert await repositories.save(claimed, set_up(claimed, None, await repositories.now()))
    again = await repositories.claim(60_000)
    assert again is not None and again.begun
    assert await repositories.save(again, set_up(again, None, await repositories.now()))
    assert await repositories.claim(60_000) is None


async def test_a_deletion_knows_who_is_at_the_repository(database: Database) -> None:
    repositories, deletions = SqlRepositories(database), SqlDeletions(database)
    (free,) = await made(database, 1)
    assert (await deletions.begin(1, free.id)).repo_held_until is None
    (app,) = await made(database, 1)
    claimed = await repositories.claim(60_000)
    assert claimed is not None and claimed.app_id == app.id
    begun = await deletions.begin(1, app.id)
    assert begun.repo_held_until == claimed.held_until
    assert not await repositories.save(claimed, set_up(claimed, None, await repositories.now()))
    after = await deletions.find(app.id)
    assert after is not None and after.repo_held_until is None


async def test_a_push_is_taken_once_and_only_if_somebody_asked_for_it(database: Database) -> None:
    pushes, (app,) = SqlPushes(database), await made(database, 1)
    assert await pushes.of_app(app.id) == (PushRule(), None)
    assert await pushes.take(app.id, "d-0", "main", "a" * 40) is PushOutcome.IGNORED
    rule = PushRule(enabled=True, branches=("main", "release/1"))
    await pushes.set_rule(app.id, rule)
    taken = await asyncio.gather(*(pushes.take(app.id, "d-1", "main", "a" * 40) for _ in range(8)))
    assert sorted(taken) == sorted([PushOutcome.QUEUED, *[PushOutcome.REPEATED] * 7])
    assert await pushes.take(app.id, "d-2", "other", "b" * 40) is PushOutcome.IGNORED
    known, push = await pushes.of_app(app.id)
    assert known == rule and push is not None
    assert (push.delivery, push.branch, push.commit, push.attempts, push.job_id) == ("d-1", "main", "a" * 40, 0, None)
    for gone in (pushes.take(app.id + 1, "d-3", "main", "c" * 40), pushes.set_rule(app.id + 1, rule)):
        with pytest.raises(NotFound):
            await gone
    assert await pushes.take(app.id, "d-3", "main", "c" * 40) is PushOutcome.QUEUED
    assert await pushes.forget(60_000) == 0 and await pushes.forget(-60_000) == 4


async def test_the_newest_push_waits_for_whoever_is_at_the_one_before(database: Database) -> None:
    pushes, (app, other) = SqlPushes(database), await made(database, 2)
    for each in (app, other):
        await pushes.set_rule(each.id, PushRule(enabled=True))
    await pushes.take(app.id, "d-1", "main", "a" * 40)
    claims = [each for each in await asyncio.gather(*(pushes.claim(60_000) for _ in range(10))) if each]
    assert [each.app_id for each in claims] == [app.id]
    (first,) = claims
    await pushes.take(app.id, "d-2", "main", "b" * 40)
    await pushes.take(other.id, "d-3", "main", "c" * 40)
    free = await pushes.claim(60_000)
    assert free is not None and free.app_id == other.id
    assert await pushes.claim(60_000) is None
    assert not await pushes.save(deployed(first, "job-1"), first)
    second = await pushes.claim(60_000)
    assert second is not None and (second.delivery, second.attempts, second.job_id) == ("d-2", 0, None)
    assert await pushes.save(postponed(second, "away", await pushes.now() - 60_000), second)
    third = await pushes.claim(60_000)
    assert third is not None and (third.attempts, third.problem) == (1, "away")
    assert await pushes.save(deployed(third, "job-2"), third)
    _, push = await pushes.of_app(app.id)
    assert push is not None and (push.job_id, push.problem, push.next_at, push.held_until) == (
        "job-2",
        None,
        None,
        None,
    )
    assert await pushes.claim(60_000) is None


async def test_apps_from_before_are_looked_at_once_more_and_get_no_first_files(
    database_url: str, tmp_path: Path
) -> None:
    before = await asyncio.to_thread(_migrations_before, "pre_repositories", tmp_path / "before")
    async with open_database(database_url, QUERIES) as database:
        await migrate(database, COMPONENT, before)
        await SqlUsers(database).ensure(1, "user1")
        nothing = {"app_description": None, "app_type": None, "create_key": None}
        number = await database.transact(
            lambda session: session.insert("add_app", user_id=1, app_name="old", now=1, **nothing)
        )
        await migrate(database, COMPONENT, MIGRATIONS)
        claimed = await SqlRepositories(database).claim(60_000)
        assert claimed is not None and (claimed.app_id, claimed.begun) == (number, True)
        (fresh,) = await made(database, 1)
        claimed = await SqlRepositories(database).claim(60_000)
        assert claimed is not None and (claimed.app_id, claimed.begun) == (fresh.id, False)


def _migrations_before(name: str, folder: Path) -> Path:
    """Those of an earlier release."""
    folder.mkdir()
    paths = sorted(MIGRATIONS.glob("*.sql"))
    first = next(path.name[:4] for path in paths if name in path.name)
    for path in paths:
        if path.name[:4] < first:
            shutil.copy(path, folder)
    return folder
