"""How a curl command of a user becomes a program: words, never a shell's text."""

import shlex
from typing import Final

from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.programs import Program

_SHELLS: Final = frozenset({"|", "||", ";", "&", "&&", ">", ">>", "<", "<<", "2>", "2>&1"})
_ALWAYS: Final = ("--silent", "--show-error", "--proto", "=http,https", "--proto-redir", "=http,https")


class NotCurl(Exception):
    """The text is no curl command that is run; the message says why."""


def curl_program(text: str, app_id: str) -> Program:
    """The program. It runs as the user in the user's own container, so that it reaches what a terminal there does and
    nothing else. Raises NotCurl."""
    try:
        words = shlex.split(text.replace("\\\r\n", " ").replace("\\\n", " "))
    except ValueError:
        raise NotCurl("curlCommand: a quote or a backslash has no end") from None
    if not words or words[0] != "curl":
        raise NotCurl("curlCommand: must be a curl command")
    if any("\0" in word for word in words):
        raise NotCurl("curlCommand: holds a zero byte")
    used = next((word for word in words if word in _SHELLS), None)
    if used is not None:
        raise NotCurl(f"curlCommand: {used} means something to a shell, and none reads it; quote it, or leave it out")
    # Whatever else is asked for comes later and may say otherwise; curl's own defaults would surprise.
    return Program(("curl", *_ALWAYS, *words[1:]), f"{WORKDIR}/apps/{app_id}")
