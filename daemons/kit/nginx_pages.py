"""The gateway's own answers as locations of nginx: a page and a document each, because a type cannot be a variable."""

from daemons.kit import gateway_values as values
from daemons.kit.gateway_pages import Page


def locations(each: Page, prefix: str, more: str = "") -> str:
    """Of one answer, and the name by which it is given: `@{prefix}_{name}`. `${prefix}_form` is html or json; `more`
    are further lines of each location. Raises Misconfigured."""
    retry = f"        add_header Retry-After {each.retry_seconds} always;\n" if each.retry_seconds else ""
    forms = (("html", "text/html", each.html), ("json", "application/json", each.json))
    at = f"/_{prefix}_page/{each.name}"
    named = f"    location @{prefix}_{each.name} {{\n        rewrite ^ {at}/${prefix}_form last;\n    }}\n"
    return named + "".join(
        f"    location = {at}/{form} {{\n"
        "        internal;\n"
        f"        default_type {kind};\n"
        "        charset utf-8;\n"
        "        add_header Cache-Control no-store always;\n"
        f"{more}"
        f"{retry}"
        f'        return {each.status} "{values.quoted(text)}";\n'
        "    }\n"
        for form, kind, text in forms
    )
