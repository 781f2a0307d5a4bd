"""Where previews are seen: below a path of the platform's host, or each on a host of its own."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")


@dataclass(frozen=True, slots=True)
class Addresses:
    """`base` is what the addresses of all previews begin with, in front of the app's id. With `own`, an address like
    https://preview.example.com, each is seen at a name below that host, from its root."""

    base: str = "http://127.0.0.1:8088/preview"
    own: str = ""

    def url(self, app_id: str) -> str:
        """The public address."""
        if not self.own:
            return f"{self.base}/{app_id}/"
        scheme, _, host = self.own.partition("://")
        return f"{scheme}://{app_id}.{host}/"

    def path(self, app_id: str) -> str:
        """Its path."""
        return "/" if self.own else f"/preview/{app_id}/"

    @property
    def secure(self) -> bool:
        """Whether visitors come by HTTPS."""
        return (self.own or self.base).startswith("https:")

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of hosts that visitors ask for; one that begins with a dot stands for all below it. What is reached
        by a number needs no name."""
        name = str(urlsplit(self.own or self.base).hostname)
        return () if _ADDRESS.fullmatch(name) else (f".{name}" if self.own else name,)
