"""A sample of what operators see of one app."""

from datetime import UTC, datetime
from typing import Final

from protocol.api import AppDeletionView, AppDomainView, AppInfo, AppPart, AppState, RepoStatus
from protocol.app_details import AppDetail
from protocol.base import Wire
from protocol.pushes import PushToDeployView

_MOMENT: Final = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)

APP_SAMPLES: Final[tuple[Wire, ...]] = (
    AppDetail(
        app_id=20001,
        user_id=1,
        app=AppInfo(
            id=20001,
            user_id=1,
            app_name="shop",
            app_status=AppState.CREATED,
            repo_ssh_url="ssh://git@git.example.org:2222/funai/u1-app20001.git",
            repo_status=RepoStatus.READY,
            app_slug="my-shop",
            create_time=_MOMENT,
            update_time=_MOMENT,
        ),
        domains=(
            AppDomainView(
                app_id=20001,
                host="www.shop.example",
                verified=False,
                record_name="_funai-verify.www.shop.example",
                record_value="funai-verify=0123456789abcdef0123456789abcdef",
                create_time=_MOMENT,
            ),
        ),
        push_to_deploy=PushToDeployView(app_id=20001, enabled=True, branches=("main",)),
        deletion=AppDeletionView(
            app_id=20001,
            user_id=1,
            app_name="shop",
            complete=False,
            left=(AppPart.WORKSPACE, AppPart.REPOSITORY),
            problem="workspace: was asked and has not answered yet; repository: waits until nobody can push to it",
            asked_at=_MOMENT,
            message="shop is gone; what is left elsewhere is taken away without another call: workspace, repository",
        ),
    ),
)
