"""What an app ran, and going back to it."""

from typing import Final

from aiohttp import web

from daemons.deploy.domain.releases import Release, Review, config_of
from daemons.deploy.domain.views import when
from daemons.deploy.http.requests import app_in_path, caller, orderer
from daemons.deploy.services.reading import Reader
from daemons.deploy.services.releases import ABOVE_ALL, Releases
from daemons.deploy.services.rollback import Rollback
from daemons.kit.bodies import InvalidRequest, expected, number, read, reply
from daemons.kit.openapi import Answers
from protocol.jobs import JobView
from protocol.releases import CleanupView, ReleasePage, ReleaseView, RollbackApp, RollbackJob

_LONGEST_NUMBER: Final = 9


class ReleaseRoutes:
    """`/deploy/apps/{app_id}/releases` and `/deploy/apps/{app_id}/rollback`."""

    def __init__(self, releases: Releases, rollback: Rollback, reader: Reader) -> None:
        self._releases = releases
        self._rollback = rollback
        self._reader = reader

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get("/deploy/apps/{app_id}/releases", self.page),
            web.post("/deploy/apps/{app_id}/rollback", self.rollback),
            web.post("/deploy/apps/{app_id}/releases/{number}/pin", self.pin),
            web.post("/deploy/apps/{app_id}/releases/{number}/unpin", self.unpin),
        ]

    @Answers(ReleasePage, refuses=(404,))
    async def page(self, request: web.Request) -> web.Response:
        """A page of releases, newest first."""
        app_id, limit = app_in_path(request), number(request, "limit", default=50, low=1, high=200)
        before = _number(request.query["cursor"], "cursor") if request.query.get("cursor") else ABOVE_ALL
        ledger = await self._releases.page(app_id, before, limit)
        items = tuple(_view(release, current=release.number == ledger.current) for release in ledger.items)
        cursor = str(items[-1].number) if ledger.more else None
        return reply(ReleasePage(app_id=app_id, items=items, next_cursor=cursor, cleanup=_cleanup(ledger.review)))

    @Answers(RollbackJob, refuses=(404, 409, 502))
    async def rollback(self, request: web.Request) -> web.Response:
        """A job that deploys an earlier release without a build."""
        app_id = app_in_path(request)
        order = await read(request, RollbackApp)
        done = await self._rollback.start(app_id, order, orderer(request), expected(request))
        view = await self._reader.view(done.job)
        known = {name: getattr(view, name) for name in JobView.model_fields}
        return reply(RollbackJob(**known, release=done.release.number, present_in=done.present_in))

    @Answers(ReleaseView, refuses=(404,))
    async def pin(self, request: web.Request) -> web.Response:
        """Keep a release's image for good."""
        return await self._pin(request, pinned=True)

    @Answers(ReleaseView, refuses=(404,))
    async def unpin(self, request: web.Request) -> web.Response:
        """Keep a release's image only as long as it is one of the newest."""
        return await self._pin(request, pinned=False)

    async def _pin(self, request: web.Request, *, pinned: bool) -> web.Response:
        wanted = _number(request.match_info["number"], "number")
        release, current = await self._releases.pin(app_in_path(request), wanted, pinned=pinned, actor=caller(request))
        return reply(_view(release, current=current))


def _number(text: str, field: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise InvalidRequest(f"{field}: must be the number of a release", [field])
    return int(text)


def _view(release: Release, *, current: bool) -> ReleaseView:
    config = config_of(release.app_id, release.payload)
    return ReleaseView(
        app_id=release.app_id,
        user_id=release.user_id,
        number=release.number,
        current=current,
        pinned=release.pinned,
        image=release.image,
        image_digest=release.image_digest,
        commit=release.commit,
        config_hash=release.config_hash,
        container_port=config.container_port,
        base_path=config.base_path,
        health_check_path=config.health_check_path,
        job_id=release.job_id,
        node_id=release.node_id,
        created_at=when(release.created_at),
        image_removed_at=when(release.image_removed_at) if release.image_removed_at is not None else None,
    )


def _cleanup(review: Review | None) -> CleanupView | None:
    if review is None:
        return None
    return CleanupView(attempts=review.attempts, next_attempt_at=when(review.not_before), last_error=review.last_error)
