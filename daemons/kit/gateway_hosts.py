"""Hosts of previews' own, as gateways are told of them."""

import re
from dataclasses import dataclass
from typing import Final

from daemons.kit.settings import Misconfigured

_ADDRESS: Final = re.compile(r"(https?)://((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63})(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class OwnHosts:
    """With https://preview.example.com each preview is seen at https://{appId}.preview.example.com/."""

    scheme: str
    host: str
    port: str = ""

    @classmethod
    def of(cls, address: str) -> "OwnHosts":
        """Raises Misconfigured."""
        found = _ADDRESS.fullmatch(address)
        if found is None:
            raise Misconfigured(f"previews' hosts must be an address like https://preview.example.com, not {address!r}")
        return cls(found[1], found[2], found[3] or "")

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"{self.host}{self.port}"

    @property
    def pattern(self) -> str:
        """The host in a regular expression."""
        return self.host.replace(".", r"\.")
