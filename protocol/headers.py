"""Names of the HTTP headers that callers prove themselves with, each in one place."""

DEPLOY_SECRET = "X-DEPLOY-SECRET"  # noqa: S105 - a header's name
RUNNER_TOKEN = "X-Runner-Token"  # noqa: S105
NODE_TOKEN = "X-RT-Node-Token"  # noqa: S105
ADMIN_TOKEN = "X-Admin-Token"  # noqa: S105
AGENT_TOKEN = "X-Runtime-Token"  # noqa: S105
LEASE_TOKEN = "X-Lease-Token"  # noqa: S105
AUTHORIZATION = "Authorization"
REQUEST_ID = "X-Request-Id"
IDEMPOTENCY_KEY = "Idempotency-Key"
#: Of a change: what its object looked like to whoever decided it (`protocol.versions`).
EXPECTED_VERSION = "X-Expected-Version"
LAST_EVENT_ID = "Last-Event-ID"
#: Of a delivered job result: its id, the second it was signed in, and its signatures.
DELIVERY_ID = "X-Deploy-Delivery-Id"
DELIVERY_TIMESTAMP = "X-Deploy-Delivery-Timestamp"
DELIVERY_SIGNATURE = "X-Deploy-Delivery-Signature"
#: Of workspace nodes to the API entry.
WORKSPACE_NODE_TOKEN = "X-WS-Node-Token"  # noqa: S105
#: Of gateways: to a node, to the API entry when they ask for a user's node, to deploy when they ask for an app's.
WORKSPACE_GATEWAY_TOKEN = "X-WS-Token"  # noqa: S105
#: Where a gateway finds the one that has an app, and the name of its node.
RUNTIME_UPSTREAM = "X-Runtime-Upstream"
RUNTIME_NODE = "X-Runtime-Node"
#: What a visitor of a private preview carries.
PREVIEW_PASS = "X-WS-Pass"  # noqa: S105
WORKSPACE_NODE = "X-WS-Node"
WORKSPACE_NODE_ID = "X-WS-NodeId"
WORKSPACE_PROXIED = "X-WS-Proxied"
WORKSPACE_UPSTREAM = "X-WS-Upstream"
#: Of a workspace node: why it let nobody through (`stale`, `moved`, `moving`).
WORKSPACE_FENCE = "X-WS-Fence"
#: Of a push as Gitea tells it: what happened, the delivery's id, and the signature of the body.
GITEA_EVENT = "X-Gitea-Event"
GITEA_DELIVERY = "X-Gitea-Delivery"
GITEA_SIGNATURE = "X-Gitea-Signature"
#: What API keys of people begin with, so that they are found where they should not be.
API_KEY_PREFIX = "fuk_"
