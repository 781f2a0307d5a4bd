"""The platform's secrets: which there are, how their file reads, and who may know which."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

NAMES: Final = (
    "DEPLOY_ADMIN_TOKEN",
    "DEPLOY_PROXY_AUTH_SHARED_SECRET",
    "DEPLOY_RUNNER_TOKEN",
    "DEPLOY_NODE_TOKEN",
    "RUNTIME_AGENT_TOKEN",
    "DEPLOY_WEBHOOK_SECRET",
    "GIT_WEBHOOK_SECRET",
    "API_ADMIN_TOKEN",
    "API_USER_TOKEN",
    "API_JWT_SECRET",
    "WORKSPACE_NODE_INTERNAL_SHARED_SECRET",
    "FUNAI_WORKSPACE_NGINXAUTHTOKEN",
    "FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET",
    # Of an entry that somebody puts before the platform (`funai gateway render --role entry`).
    "FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN",
    "DEPLOY_GATEWAY_TOKEN",
)

#: A child's environment carries these and no others.
NEEDED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "deploy": (
        "DEPLOY_ADMIN_TOKEN",
        "DEPLOY_PROXY_AUTH_SHARED_SECRET",
        "DEPLOY_RUNNER_TOKEN",
        "DEPLOY_NODE_TOKEN",
        "RUNTIME_AGENT_TOKEN",
        "DEPLOY_WEBHOOK_SECRET",
        "DEPLOY_GATEWAY_TOKEN",
    ),
    "runner": ("DEPLOY_RUNNER_TOKEN", "RUNTIME_AGENT_TOKEN"),
    "agent": ("DEPLOY_NODE_TOKEN", "RUNTIME_AGENT_TOKEN"),
    "api": (
        "API_ADMIN_TOKEN",
        "API_USER_TOKEN",
        "API_JWT_SECRET",
        "DEPLOY_PROXY_AUTH_SHARED_SECRET",
        "DEPLOY_ADMIN_TOKEN",
        "DEPLOY_WEBHOOK_SECRET",
        "GIT_WEBHOOK_SECRET",
        "WORKSPACE_NODE_INTERNAL_SHARED_SECRET",
        "FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET",
        "FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN",
    ),
    "git": ("GIT_WEBHOOK_SECRET",),
    "workspace": (
        "WORKSPACE_NODE_INTERNAL_SHARED_SECRET",
        "FUNAI_WORKSPACE_NGINXAUTHTOKEN",
        "FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET",
    ),
    "gateway": ("FUNAI_WORKSPACE_NGINXAUTHTOKEN",),
}


def parse(text: str) -> dict[str, str]:
    """The `NAME=VALUE` lines of a credentials file; blank lines and comments are skipped."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def completed(known: Mapping[str, str], generate: Callable[[], str]) -> dict[str, str]:
    """Every secret: those that exist as they are (also names that are not ours), those that lack made new."""
    return {**known, **{name: generate() for name in NAMES if not known.get(name)}}


def formatted(credentials: Mapping[str, str]) -> str:
    """The file's text."""
    head = "# Secrets of this platform, made once. Whoever reads this file may do everything; keep its mode at 0600.\n"
    return head + "".join(f"{name}={value}\n" for name, value in credentials.items())


def of_child(name: str, credentials: Mapping[str, str]) -> dict[str, str]:
    """The secrets that the child needs."""
    return {secret: credentials[secret] for secret in NEEDED_BY[name]}


def passed_on(name: str, environment: Mapping[str, str], prefixes: Iterable[str]) -> dict[str, str]:
    """Settings of the caller's environment that reach the child: those of its prefixes, never another's secret."""
    wanted = tuple(prefixes)
    foreign = set(NAMES) - set(NEEDED_BY[name])
    return {key: value for key, value in environment.items() if key.startswith(wanted) and key not in foreign}
