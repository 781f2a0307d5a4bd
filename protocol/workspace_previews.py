"""Who may see the preview of an app, and the link by which its owner does."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.workspaces import AppRef


class Visibility(StrEnum):
    """PUBLIC: whoever knows the address. PRIVATE: who came by a link that the owner was given."""

    PUBLIC = "public"
    PRIVATE = "private"


class SetPreviewAccess(AppRef):
    """`POST /api/fun-ai/workspace/preview/access`."""

    visibility: Visibility


class PreviewAccess(Wire):
    """Who may see it. Whoever was let in under an older generation is not any more."""

    user_id: UserId
    app_id: AppId
    visibility: Visibility
    generation: int


class PreviewRule(Wire):
    """Who may see the preview of one app, as it goes along when its workspace moves."""

    app_id: AppId
    visibility: Visibility
    generation: Annotated[int, Field(ge=1, le=10**12)]


class PreviewLink(Wire):
    """Where the owner sees the preview; of a private one, good for one visit until `expires_at_ms`."""

    user_id: UserId
    app_id: AppId
    url: str
    expires_at_ms: int | None = None
