"""Log lines: one sentence and its keys, readable on a terminal, JSON for machines.

Secrets are removed by value: every secret that settings loaded is registered here, so that one that slips into a
message, an exception or a URL is replaced before a line is written.
"""

import base64
import logging
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

import structlog

_REDACTED: Final = "[secret]"


class Redactor:
    """Replaces known secret values in every string of a log record. Shorter than 8 characters are not replaced."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(sorted({secret for secret in secrets if len(secret) >= 8}, key=len, reverse=True))

    @property
    def longest(self) -> int:
        """How many characters the longest secret has; 0 without any."""
        return len(self._secrets[0]) if self._secrets else 0

    def text(self, value: str) -> str:
        """The text without any known secret."""
        for secret in self._secrets:
            if secret in value:
                value = value.replace(secret, _REDACTED)
        return value

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The structlog processor."""
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = self.text(value)
        return event


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """The secrets as they are and as URLs and base64 write them; of one with several lines, each line, as it is printed
    line by line, and of a URL its password."""
    plain = [part for secret in secrets for part in _parts(secret)]
    quoted = [quote(secret, safe="") for secret in plain]
    encoded = [base64.b64encode(secret.encode("utf-8", "replace")).decode().rstrip("=") for secret in plain]
    return (*plain, *quoted, *encoded)


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
