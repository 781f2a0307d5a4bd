"""One app as operators see it: what its owner sees, in one answer, and how its deletion goes."""

from protocol.api import AppDeletionView, AppDomainView, AppInfo
from protocol.base import Wire
from protocol.pushes import PushToDeployView


class AppDetail(Wire):
    """`GET /api/fun-ai/admin/apps/show`. Of an app that was deleted only `deletion` is there, also for a while after
    nothing of it was left; of one that was not, everything else."""

    app_id: int
    user_id: int
    app: AppInfo | None = None
    domains: tuple[AppDomainView, ...] = ()
    push_to_deploy: PushToDeployView | None = None
    deletion: AppDeletionView | None = None
