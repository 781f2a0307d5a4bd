"""What several handlers read from a request: ids in paths, who is calling."""

import re
from typing import Final

from aiohttp import web

from daemons.deploy.domain.jobs import JobNotFound
from daemons.kit.auth import CALLER

_JOB_ID: Final = re.compile(r"[0-9a-f-]{36}")


def job_id(request: web.Request) -> str:
    """The job id in the path. Raises JobNotFound for what cannot be one."""
    text = request.match_info["job_id"]
    if not _JOB_ID.fullmatch(text):
        raise JobNotFound(text if text.isalnum() and len(text) <= 64 else "of that id")
    return text


def caller(request: web.Request) -> str:
    """The kind of caller that was admitted, as events name it."""
    name: str = request.get(CALLER, "anyone")
    return name
