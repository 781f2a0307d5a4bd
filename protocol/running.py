"""Apps that run: what they write, what they use. Agents answer it, deploy passes it on, operators read it.

Output is a stream of server-sent events, one `AppLogEvent` each. Its place is a cursor and not a byte offset: engines
rotate what containers wrote, so that an offset would name other bytes tomorrow.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from protocol.base import Wire
from protocol.names import AppId, UserId

#: `{container}:{nanoseconds since 1970}:{pieces of that moment or later that were given}`; opaque to readers.
LogCursor = Annotated[
    str, StringConstraints(pattern=r"^r[0-9]{1,20}(\.[0-9]{1,4})?:[0-9]{1,19}:[0-9]{1,9}$", max_length=60)
]
Tail = Annotated[int, Field(ge=0, le=100_000)]


class OutputStream(StrEnum):
    """Where an app wrote to."""

    STDOUT = "stdout"
    STDERR = "stderr"


class AppLogKind(StrEnum):
    """What a piece of an app's log is.

    - `output`: what the app wrote.
    - `container`: from here on it is the output of `container`. It follows from its beginning, or from the cursor or
      the tail that was asked for; `text` says so when output may be missing in between.
    - `end`: there is no more for now; `text` says why.
    """

    OUTPUT = "output"
    CONTAINER = "container"
    END = "end"


class AppLogEvent(Wire):
    """One event of `GET /agent/apps/output` and of `GET /admin/apps/{appId}/log`.

    Who reads on after a break gives the last `cursor`. `at` is when the first of `text` was written, in epoch
    milliseconds by the node's clock. Bytes that are not UTF-8 are replaced; all others are as they were written,
    carriage returns included.
    """

    kind: AppLogKind
    cursor: LogCursor | None = None
    container: str | None = None
    stream: OutputStream | None = None
    at: int | None = None
    text: str = ""


class AppOutputQuery(Wire):
    """`GET /agent/apps/output`: the last `tail` lines, or all that came after `cursor`; with `follow`, what comes."""

    user_id: UserId
    app_id: AppId
    cursor: LogCursor | None = None
    tail: Tail = 200
    follow: bool = False


class AppLogQuery(Wire):
    """`GET /admin/apps/{appId}/log`: as `AppOutputQuery`, of the node that has the app."""

    cursor: LogCursor | None = None
    tail: Tail = 200
    follow: bool = False


class AppStatsQuery(Wire):
    """`GET /agent/apps/stats`: one app, or without ids every app of the node."""

    user_id: UserId | None = None
    app_id: AppId | None = None


class AppStats(Wire):
    """What an app's container uses; null is unknown. `cpuPct` is 100 for one whole processor, over the time since the
    figures were last asked for or a quarter of a second; `cpuSeconds`, `receivedBytes` and `sentBytes` count from its
    start. `memoryBytes` is without file cache that can be dropped. `diskBytes` is what it wrote over its image, at most
    a minute ago."""

    app_id: str
    user_id: str
    container: str
    running: bool
    cpu_pct: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    processes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    disk_bytes: int | None = None


class NodeStats(Wire):
    """`GET /agent/apps/stats`, and with the node's name `GET /admin/runtime-nodes/{name}/stats` and
    `GET /admin/apps/{appId}/stats`: apps by id."""

    node: str | None = None
    items: tuple[AppStats, ...] = ()
