"""Values as gateways' configurations hold them: each is checked, because what is misread there leads people astray.

All raise Misconfigured with words for operators.
"""

import ipaddress
import re
from pathlib import Path
from typing import Final

from daemons.kit.settings import Misconfigured

_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@=,-]*[A-Za-z0-9._+@=,-]")
#: What may stand between quotes and means itself.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=:,@!*-]{1,512}")
_NAME: Final = re.compile(r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?")


def host(text: str) -> str:
    """An IP address, in brackets where it needs them."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Misconfigured(f"the gateway needs an IP address, not {text!r}") from None
    return f"[{address}]" if address.version == 6 else str(address)


def address(text: str, port: int) -> str:
    """An IP address and a port."""
    return f"{host(text)}:{positive(port, 'port', 65535)}"


def place(text: str) -> tuple[str, int]:
    """ADDRESS:PORT as an operator writes it, an IPv6 address in brackets."""
    at, _, port = text.rpartition(":")
    host(at.removeprefix("[").removesuffix("]"))
    if not port.isascii() or not port.isdigit():
        raise Misconfigured(f"the gateway needs ADDRESS:PORT, not {text!r}")
    return at.removeprefix("[").removesuffix("]"), positive(int(port), "port", 65535)


def network(text: str) -> str:
    """An address or a network."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise Misconfigured(f"the gateway needs an address or a network like 10.0.0.0/8, not {text!r}") from None


def path(value: Path, what: str) -> str:
    """An absolute path without anything that would end it."""
    if not _PLAIN_PATH.fullmatch(str(value)):
        raise Misconfigured(
            f"the gateway's {what} is {str(value)!r}; it must be an absolute path of letters, digits and ._/+@=,- here"
        )
    return str(value)


def token(text: str, name: str = "token") -> str:
    """A secret; what it is does not get into the refusal."""
    if not _TOKEN.fullmatch(text):
        raise Misconfigured(
            f"the gateway's {name} may have letters, digits and ._~+/=:,@!*- here, at most 512, and some"
        )
    return text


def name(text: str) -> str:
    """A host's name in lower case, `*.` before it for all below."""
    if len(text) > 253 or not _NAME.fullmatch(text):
        raise Misconfigured(f"the gateway's name must be a host's name in lower case, not {text!r}")
    return text


def origin(text: str) -> str:
    """An origin as browsers send it."""
    if not _ORIGIN.fullmatch(text):
        raise Misconfigured(f"an origin is https://host or https://host:port in lower case, not {text!r}")
    return text


def quoted(text: str) -> str:
    """As it stands between nginx's double quotes, where `$` cannot be written."""
    if "$" in text or "\n" in text:
        raise Misconfigured("a page of the gateway holds what nginx cannot say")
    return text.replace("\\", "\\\\").replace('"', '\\"')


def positive(value: int, name: str, most: int = 1_000_000) -> int:
    """A number from 1 to `most`."""
    if not 1 <= value <= most:
        raise Misconfigured(f"the gateway's {name} must be from 1 to {most}, not {value}")
    return value
