"""Names of apps in the platform's own address: `/my-shop` instead of `/runtime/20001/`.

A slug stands where the platform's own addresses stand, so the first segment of none of them may be one.
"""

import re
from enum import StrEnum
from typing import Final

from protocol.names import SLUG_RULE

_SHAPE: Final = re.compile(SLUG_RULE)
#: First segments of what the gateways and the API answer themselves; then what the documented system reserves, and what
#: people take for the platform's own.
RESERVED: Final = frozenset((
    "api", "apps", "doc", "fun-agent", "gateway", "internal", "metrics", "preview", "runtime", "src",
    "workspace", "ws", "about", "account", "accounts", "admin", "app", "assets", "auth", "billing", "blog",
    "cdn", "config", "console", "contact", "dashboard", "deploy", "docs", "download", "email", "favicon",
    "fonts", "git", "health", "help", "home", "images", "imprint", "index", "js", "legal", "login", "logout",
    "mail", "media", "news", "oauth", "password", "payment", "ping", "postmaster", "pricing", "privacy",
    "public", "ready", "register", "registry", "robots", "root", "security", "settings", "signin", "signup",
    "sitemap", "static", "status", "studio", "support", "swagger", "swagger-ui", "system", "terms", "tos",
    "upload", "user", "users", "v1", "v2", "webhook", "well-known", "www",
))  # fmt: skip


class Unavailable(StrEnum):
    """Why an app cannot have a slug."""

    INVALID = "invalid"
    RESERVED = "reserved"
    TAKEN = "taken"


class SlugReserved(Exception):
    """The slug is the platform's own."""

    data: Final = {"fields": ["appSlug"]}

    def __init__(self, slug: str) -> None:
        super().__init__(f"appSlug: {slug} is reserved for the platform; choose another")


class SlugTaken(Exception):
    """Another app has it, or had it and is still being deleted."""

    data: Final = {"fields": ["appSlug"]}

    def __init__(self, slug: str) -> None:
        super().__init__(f"appSlug: {slug} is taken; choose another")


def refusal(slug: str) -> Unavailable | None:
    """Why no app at all may have this slug; None if one may."""
    if not _SHAPE.fullmatch(slug):
        return Unavailable.INVALID
    return Unavailable.RESERVED if slug in RESERVED else None


def require_free(slug: str) -> None:
    """Raises SlugReserved."""
    if slug in RESERVED:
        raise SlugReserved(slug)
