"""Who may call what: every route of the API entry with its rule, and nothing else opens one.

A rule names the weakest caller that gets in. A person's rights are those of the token's subject: a `userId` in the
query, the path or the body of a person's call must be the subject's own, and of apps and jobs `Ownership` hands out
the subject's own alone. Operators' and admins' calls name whom they are about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from daemons.api.domain.forwarding import PREFIX
from protocol.git_loans import LEND_PATH, RETURN_ALL_PATH, RETURN_PATH
from protocol.pushes import PUSHES_PATH
from protocol.webhooks import RESULTS_PATH


class Rule(Enum):
    """Who gets in."""

    ANYONE = auto()
    #: Whoever signs the body; the handler checks the signature.
    SIGNED = auto()
    #: A person, by any credential of theirs.
    USER = auto()
    #: A person who has logged in: no key of a program makes keys, or changes a password.
    SESSION = auto()
    OPERATOR = auto()
    ADMIN = auto()
    NODE = auto()
    GATEWAY = auto()


class Named(Enum):
    """Who reads which user a person's call names."""

    #: The door, in query, path and body.
    HERE = auto()
    #: `domain.forwarding`, which reads the query once for itself and for the node.
    FORWARDED = auto()


@dataclass(frozen=True, slots=True)
class Row:
    """One route. `expensive`: a caller may do it only so often."""

    rule: Rule
    expensive: bool = False
    named: Named = Named.HERE


_API: Final = "/api/fun-ai"
_MONGO: Final = f"{_API}/deploy/mongo"
_ADMIN: Final = f"{_API}/admin"
_NODES: Final = f"{_ADMIN}/workspace-nodes"
_MOVES: Final = f"{_ADMIN}/workspace-moves"
_SPACES: Final = f"{_ADMIN}/workspaces"
_BACKUPS: Final = f"{_ADMIN}/workspace-backups"
_USERS: Final = f"{_ADMIN}/users"
_RUNTIME: Final = f"{_ADMIN}/deploy-nodes"

_ANYONE: Final = Row(Rule.ANYONE)
_USER: Final = Row(Rule.USER)
_DEAR: Final = Row(Rule.USER, expensive=True)
#: Calls of workspaces, and of these what keeps a node busy.
_CALL: Final = Row(Rule.USER, named=Named.FORWARDED)
_DEAR_CALL: Final = Row(Rule.USER, expensive=True, named=Named.FORWARDED)
_SESSION: Final = Row(Rule.SESSION)
_OPERATOR: Final = Row(Rule.OPERATOR)
_ADMINS: Final = Row(Rule.ADMIN)

RULES: Final[Mapping[tuple[str, str], Row]] = {
    ("GET", "/internal/health"): _ANYONE,
    ("GET", "/internal/ready"): _ANYONE,
    ("GET", "/metrics"): _ANYONE,
    ("GET", "/openapi.json"): _ANYONE,
    ("POST", RESULTS_PATH): Row(Rule.SIGNED),
    ("POST", PUSHES_PATH): Row(Rule.SIGNED),
    ("POST", f"{_API}/auth/login"): _ANYONE,
    ("POST", f"{_API}/auth/refresh"): _ANYONE,
    ("GET", f"{_API}/auth/oidc/login"): _ANYONE,
    ("GET", f"{_API}/auth/oidc/callback"): _ANYONE,
    ("POST", f"{_API}/auth/logout"): _SESSION,
    ("POST", f"{_API}/auth/password"): _SESSION,
    ("GET", f"{_API}/user/me"): _USER,
    ("GET", f"{_API}/user/api-keys"): _SESSION,
    ("POST", f"{_API}/user/api-keys"): Row(Rule.SESSION, expensive=True),
    ("DELETE", f"{_API}/user/api-keys"): _SESSION,
    ("GET", f"{_API}/app/create"): _DEAR,
    ("POST", f"{_API}/app/create"): _DEAR,
    ("GET", f"{_API}/app/list"): _USER,
    ("GET", f"{_API}/app/info"): _USER,
    ("POST", f"{_API}/app/update-basic"): _USER,
    ("POST", f"{_API}/app/open-editor"): _DEAR,
    ("GET", f"{_API}/app/push-to-deploy"): _USER,
    ("POST", f"{_API}/app/push-to-deploy"): _USER,
    ("GET", f"{_API}/app/slug/check"): _USER,
    ("GET", f"{_API}/app/domains"): _USER,
    ("POST", f"{_API}/app/domains"): _DEAR,
    ("DELETE", f"{_API}/app/domains"): _USER,
    ("POST", f"{_API}/app/domains/verify"): _DEAR,
    ("GET", f"{_API}/internal/gateway/domains"): Row(Rule.GATEWAY),
    # What no other route takes: where an app is by its slug, or a page that says that it is nowhere.
    ("GET", "/{slug}"): Row(Rule.ANYONE),
    ("GET", f"{_API}/app/delete"): _DEAR,
    ("POST", f"{_API}/app/delete"): _DEAR,
    ("GET", f"{_API}/deploy/app/list"): _USER,
    ("GET", f"{_API}/deploy/app/releases"): _USER,
    ("GET", f"{_API}/deploy/app/logs"): _USER,
    ("POST", f"{_API}/deploy/app/rollback"): _DEAR,
    ("POST", f"{_API}/deploy/app/stop"): _DEAR,
    ("POST", f"{_API}/deploy/job/create"): _DEAR,
    ("GET", f"{_API}/deploy/job/info"): _USER,
    ("GET", f"{_API}/deploy/job/list"): _USER,
    ("GET", f"{_API}/deploy/job/history"): _USER,
    ("POST", f"{_API}/deploy/job/cancel"): _USER,
    ("POST", f"{_API}/deploy/job/retry"): _DEAR,
    ("GET", f"{_API}/deploy/job/log"): _USER,
    ("GET", f"{_MONGO}/collections"): _USER,
    ("POST", f"{_MONGO}/find"): _DEAR,
    ("GET", f"{_MONGO}/doc"): _USER,
    ("POST", f"{_MONGO}/insert-one"): _DEAR,
    ("POST", f"{_MONGO}/update-by-id"): _DEAR,
    ("POST", f"{_MONGO}/delete-by-id"): _DEAR,
    ("POST", f"{_MONGO}/create-collection"): _DEAR,
    ("GET", f"{_API}/git/keys"): _USER,
    ("POST", f"{_API}/git/keys"): _DEAR,
    ("DELETE", f"{_API}/git/keys"): _USER,
    # What goes on to the workspace node; a call that is not here is nobody's, whatever a node has beside it.
    ("POST", f"{PREFIX}/container/ensure"): _DEAR_CALL,
    ("POST", f"{PREFIX}/container/heartbeat"): _CALL,
    ("POST", f"{PREFIX}/container/remove"): _CALL,
    ("GET", f"{PREFIX}/container/status"): _CALL,
    ("GET", f"{PREFIX}/files/content"): _CALL,
    ("POST", f"{PREFIX}/files/content"): _CALL,
    ("POST", f"{PREFIX}/files/delete"): _CALL,
    ("GET", f"{PREFIX}/files/download-dist"): _DEAR_CALL,
    ("GET", f"{PREFIX}/files/download-file"): _CALL,
    ("GET", f"{PREFIX}/files/download-zip"): _DEAR_CALL,
    ("POST", f"{PREFIX}/files/ensure-dir"): _CALL,
    ("GET", f"{PREFIX}/files/events"): _CALL,
    ("POST", f"{PREFIX}/files/mkdir"): _CALL,
    ("POST", f"{PREFIX}/files/move"): _CALL,
    ("GET", f"{PREFIX}/files/search"): _CALL,
    ("GET", f"{PREFIX}/files/tree"): _CALL,
    ("POST", f"{PREFIX}/files/upload-file"): _CALL,
    ("POST", f"{PREFIX}/files/upload-zip"): _DEAR_CALL,
    ("OPTIONS", f"{PREFIX}/files/uploads"): _CALL,
    ("POST", f"{PREFIX}/files/uploads"): _CALL,
    ("HEAD", f"{PREFIX}/files/uploads/{{upload}}"): _CALL,
    ("PATCH", f"{PREFIX}/files/uploads/{{upload}}"): _CALL,
    ("DELETE", f"{PREFIX}/files/uploads/{{upload}}"): _CALL,
    ("POST", f"{PREFIX}/git/commit-push"): _CALL,
    ("GET", f"{PREFIX}/git/conflicts"): _CALL,
    ("POST", f"{PREFIX}/git/ensure"): _DEAR_CALL,
    ("GET", f"{PREFIX}/git/log"): _CALL,
    ("POST", f"{PREFIX}/git/merge/abort"): _CALL,
    ("POST", f"{PREFIX}/git/merge/continue"): _CALL,
    ("POST", f"{PREFIX}/git/pull"): _CALL,
    ("POST", f"{PREFIX}/git/reset"): _CALL,
    ("POST", f"{PREFIX}/git/resolve"): _CALL,
    ("GET", f"{PREFIX}/git/status"): _CALL,
    ("GET", f"{PREFIX}/mongo/collections"): _CALL,
    ("POST", f"{PREFIX}/mongo/create-collection"): _CALL,
    ("POST", f"{PREFIX}/mongo/delete-by-id"): _CALL,
    ("GET", f"{PREFIX}/mongo/doc"): _CALL,
    ("POST", f"{PREFIX}/mongo/find"): _CALL,
    ("POST", f"{PREFIX}/mongo/insert-one"): _CALL,
    ("POST", f"{PREFIX}/mongo/op"): _CALL,
    ("POST", f"{PREFIX}/mongo/update-by-id"): _CALL,
    ("GET", f"{PREFIX}/preview/access"): _CALL,
    ("POST", f"{PREFIX}/preview/access"): _CALL,
    ("POST", f"{PREFIX}/preview/link"): _CALL,
    ("POST", f"{PREFIX}/preview/revoke"): _CALL,
    ("GET", f"{PREFIX}/realtime/events"): _CALL,
    ("GET", f"{PREFIX}/realtime/log"): _CALL,
    ("POST", f"{PREFIX}/realtime/log/clear"): _CALL,
    ("GET", f"{PREFIX}/realtime/log/events"): _CALL,
    ("POST", f"{PREFIX}/run/build"): _DEAR_CALL,
    ("POST", f"{PREFIX}/run/install"): _DEAR_CALL,
    ("POST", f"{PREFIX}/run/preview"): _DEAR_CALL,
    ("POST", f"{PREFIX}/run/start"): _DEAR_CALL,
    ("GET", f"{PREFIX}/run/status"): _CALL,
    ("POST", f"{PREFIX}/run/stop"): _CALL,
    ("GET", f"{PREFIX}/terminal"): _CALL,
    ("POST", f"{PREFIX}/test/api"): _DEAR_CALL,
    ("GET", f"{PREFIX}/ws/terminal"): _CALL,
    ("GET", f"{PREFIX}/internal/gateway/node"): Row(Rule.GATEWAY),
    ("POST", f"{_NODES}/heartbeat"): Row(Rule.NODE),
    # Of these nodes with a token of their own alone: `services/loans.py` asks whose workspace is where.
    ("POST", LEND_PATH): Row(Rule.NODE),
    ("POST", RETURN_PATH): Row(Rule.NODE),
    ("POST", RETURN_ALL_PATH): Row(Rule.NODE),
    ("GET", f"{_ADMIN}/apps"): _OPERATOR,
    ("POST", f"{_ADMIN}/apps/deploy"): _OPERATOR,
    ("POST", f"{_ADMIN}/apps/rollback"): _OPERATOR,
    ("POST", f"{_ADMIN}/apps/stop"): _OPERATOR,
    ("POST", f"{_ADMIN}/apps/delete"): _OPERATOR,
    ("GET", f"{_ADMIN}/apps/show"): _OPERATOR,
    ("GET", f"{_ADMIN}/app-deletions"): _OPERATOR,
    ("GET", f"{_API}/internal/apps/ids"): _OPERATOR,
    ("GET", f"{_NODES}/list"): _OPERATOR,
    ("GET", f"{_NODES}/placements"): _OPERATOR,
    ("POST", f"{_NODES}/set-enabled"): _OPERATOR,
    ("POST", f"{_NODES}/reassign"): _OPERATOR,
    ("POST", f"{_NODES}/drain"): _OPERATOR,
    ("POST", f"{_NODES}/cordon"): _OPERATOR,
    # Whoever says where a node is gets its users' calls.
    ("POST", f"{_NODES}/upsert"): _ADMINS,
    ("POST", f"{_MOVES}/start"): _OPERATOR,
    ("GET", f"{_MOVES}/list"): _OPERATOR,
    ("GET", f"{_MOVES}/show"): _OPERATOR,
    ("POST", f"{_MOVES}/cancel"): _OPERATOR,
    ("POST", f"{_MOVES}/drain"): _OPERATOR,
    ("GET", f"{_SPACES}/list"): _OPERATOR,
    ("GET", f"{_SPACES}/show"): _OPERATOR,
    ("POST", f"{_SPACES}/start"): _OPERATOR,
    ("POST", f"{_SPACES}/stop"): _OPERATOR,
    ("GET", f"{_SPACES}/run"): _OPERATOR,
    ("GET", f"{_SPACES}/log"): _OPERATOR,
    ("GET", f"{_SPACES}/log/events"): _OPERATOR,
    # These read and write all that somebody has.
    ("GET", f"{_SPACES}/exec"): _ADMINS,
    ("GET", f"{_BACKUPS}/download"): _ADMINS,
    ("POST", f"{_BACKUPS}/restore"): _ADMINS,
    ("POST", f"{_BACKUPS}/confirm"): _ADMINS,
    ("GET", f"{_USERS}/list"): _ADMINS,
    ("POST", f"{_USERS}/create"): _ADMINS,
    ("POST", f"{_USERS}/link"): _ADMINS,
    ("POST", f"{_USERS}/set-enabled"): _ADMINS,
    ("POST", f"{_USERS}/set-role"): _ADMINS,
    ("POST", f"{_USERS}/set-password"): _ADMINS,
    ("GET", f"{_RUNTIME}/list"): _OPERATOR,
    ("GET", f"{_RUNTIME}/placements"): _OPERATOR,
    ("GET", f"{_RUNTIME}/health"): _OPERATOR,
    ("GET", f"{_RUNTIME}/runners/list"): _OPERATOR,
    ("GET", f"{_RUNTIME}/jobs/list"): _OPERATOR,
    ("GET", f"{_RUNTIME}/drains/list"): _OPERATOR,
    ("GET", f"{_RUNTIME}/drains/show"): _OPERATOR,
    ("POST", f"{_RUNTIME}/set-enabled"): _OPERATOR,
    ("POST", f"{_RUNTIME}/reassign"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drain"): _OPERATOR,
    ("POST", f"{_RUNTIME}/runners/set-drained"): _OPERATOR,
    ("POST", f"{_RUNTIME}/jobs/cancel"): _OPERATOR,
    ("POST", f"{_RUNTIME}/jobs/retry"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drains/preview"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drains/start"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drains/pause"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drains/resume"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drains/undo"): _OPERATOR,
    ("POST", f"{_RUNTIME}/drains/cancel"): _OPERATOR,
    # Whoever says where a node's agent is gets the agents' token, and its apps.
    ("POST", f"{_RUNTIME}/upsert"): _ADMINS,
    # The operators' page is the same for everybody; what it shows is not.
    ("GET", "/admin/nodes.html"): _ANYONE,
    ("GET", "/admin/nodes-admin.html"): _ANYONE,
    ("GET", "/admin/nodes-assets/{name}"): _ANYONE,
    ("GET", "/nodes.html"): _ANYONE,
    ("GET", "/nodes-admin.html"): _ANYONE,
    ("GET", "/workspace-nodes{rest}.html"): _ANYONE,
    ("GET", "/deploy-nodes.html"): _ANYONE,
}


def row_of(method: str, path: str) -> Row | None:
    """The row of a route, by its method and canonical path."""
    row = RULES.get((method, path))
    return RULES.get(("GET", path)) if row is None and method == "HEAD" else row


def forwarded() -> Sequence[tuple[str, str]]:
    """Methods and paths of people's calls to their workspaces."""
    return [route for route, row in RULES.items() if row.named is Named.FORWARDED]
