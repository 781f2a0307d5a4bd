"""Log lines: one sentence and its keys, readable on a terminal, JSON for machines.

Secrets are removed by value: every secret that settings loaded is registered here, so that one that slips into a
message, an exception or a URL is replaced before a line is written.
"""

import base64
import logging
import re
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

import structlog

from daemons.kit import token_shapes

REDACTED: Final = "[secret]"
_PERCENT: Final = re.compile("%[0-9A-F]{2}")
#: Shorter ones stand in other words, too.
_LEAST_OF_BASE64: Final = 10


class Redactor:
    """Replaces known secret values in every string of a log record, and with `shapes` whatever looks like a credential.
    Values shorter than 8 characters are not replaced."""

    def __init__(self, secrets: Iterable[str], *, shapes: bool = False) -> None:
        self._secrets = tuple(sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True))
        self._shapes = shapes

    @property
    def longest(self) -> int:
        """How many characters the longest secret has; 0 without any."""
        return len(self._secrets[0]) if self._secrets else 0

    def spans(self, value: str) -> list[tuple[int, int]]:
        """Where secrets stand, in order; those that overlap are one."""
        found = [place for secret in self._secrets if secret in value for place in _places(secret, value)]
        if self._shapes:
            found += token_shapes.spans(value)
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged

    def text(self, value: str) -> str:
        """The text without any secret."""
        done, parts = 0, []
        for start, end in self.spans(value):
            parts += [value[done:start], REDACTED]
            done = end
        return "".join((*parts, value[done:])) if parts else value

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The structlog processor."""
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self.text(value)
        return event


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """The secrets as they are and as URLs and base64 write them, also within something longer that is encoded; of one
    with several lines, each line, as it is printed line by line, and of a URL its password."""
    plain = [part for secret in secrets for part in _parts(secret)]
    quoted = [each for secret in plain for each in (quote(secret, safe=""), quote_plus(secret), quote(secret))]
    lower = [_PERCENT.sub(lambda match: match[0].lower(), each) for each in quoted]
    encoded = [each for secret in plain for each in _in_base64(secret.encode("utf-8", "replace"))]
    return tuple(dict.fromkeys((*plain, *quoted, *lower, *encoded)))


def _places(secret: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(secret)
    while start >= 0:
        yield start, start + len(secret)
        start = text.find(secret, start + len(secret))


def _in_base64(secret: bytes) -> Iterator[str]:
    """What is common to the base64 of everything that has the secret in it: it begins at one of three places of a
    group, and the characters that its neighbours have a share in are left out."""
    yield base64.b64encode(secret).decode().rstrip("=")
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        size = (before + len(secret)) * 8 // 6
        text = base64.b64encode(bytes(before) + secret).decode()[shared:size]
        if len(text) >= _LEAST_OF_BASE64:
            yield text
            yield text.replace("+", "-").replace("/", "_")


def _parts(secret: str) -> list[str]:
    try:
        password = unquote(urlsplit(secret).password or "")
    except ValueError:
        password = ""
    return [part for part in dict.fromkeys((secret, password, *secret.splitlines())) if part]


def configure(*, service: str, json_lines: bool, level: str = "INFO", secrets: Iterable[str] = ()) -> None:
    """Send every log line of this process, ours and the libraries', to standard error in one format."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redactor(secrets),
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if json_lines else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("asyncssh", "httpx", "httpcore", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)
