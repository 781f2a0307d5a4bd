"""Hosts of apps' own, as gateways are told of them: a list of `HOST APPID` lines, as the API tells it.

A list that says first how many there are (`# 2 domains`) and has another number of them was cut short on its way, and
is refused: a gateway that was told of it would lead visitors of the missing hosts to the platform.
"""

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from daemons.kit import gateway_values as values
from daemons.kit.settings import Misconfigured

_APP: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_COUNT: Final = re.compile(r"# ([0-9]+) domains")


@dataclass(frozen=True, slots=True)
class AppDomain:
    """A host and the app that is seen there. `certificate` and `key` are PEM files of this host; none: it has none yet,
    and is seen without TLS or, where the gateway has TLS, not at all."""

    host: str
    app_id: str
    certificate: Path | None = None
    key: Path | None = None


def read(path: Path) -> Sequence[AppDomain]:
    """The list in a file. Raises Misconfigured."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise Misconfigured(f"the list of domains at {path} cannot be read: {error}") from error
    found = [_domain(path, number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    counted = _COUNT.fullmatch(lines[0]) if lines else None
    if counted is not None and int(counted[1]) != len(found):
        raise Misconfigured(f"{path} says that it has {counted[1]} domains and has {len(found)}; fetch it again")
    if len({each.host for each in found}) != len(found):
        raise Misconfigured(f"{path} names a host twice")
    return found


def checked(domains: Sequence[AppDomain], name: str, below: str | None) -> Sequence[AppDomain]:
    """None of them is the platform's own host, or below that of previews. Raises Misconfigured."""
    for domain in domains:
        values.name(domain.host)
        if domain.host.startswith("*.") or not _APP.fullmatch(domain.app_id):
            raise Misconfigured(f"{domain.host} {domain.app_id} is no host with the app that is seen there")
        if domain.host in (name, below) or (below is not None and domain.host.endswith(f".{below}")):
            raise Misconfigured(f"{domain.host} is the platform's own host and no app's")
    return domains


def with_certificates(domains: Sequence[AppDomain], folder: Path, *, key_apart: bool) -> Sequence[AppDomain]:
    """With the files `HOST.pem` in this folder and, apart, `HOST.key`, where they are and fit each other."""
    return [_with_certificate(domain, folder, key_apart=key_apart) for domain in domains]


def _with_certificate(domain: AppDomain, folder: Path, *, key_apart: bool) -> AppDomain:
    certificate, key = folder / f"{domain.host}.pem", folder / f"{domain.host}.key"
    if not _usable(certificate, key if key_apart else None):
        return domain
    return AppDomain(domain.host, domain.app_id, certificate, key if key_apart else None)


def _usable(certificate: Path, key: Path | None) -> bool:
    """Whether a gateway would take them: it refuses its whole configuration for one that it cannot read."""
    try:
        # The password of a key that has one is nobody's here.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=str)
    except (OSError, ValueError):
        return False
    return True


def _domain(path: Path, number: int, line: str) -> AppDomain:
    words = line.split()
    if len(words) != 2:
        raise Misconfigured(f"line {number} of {path} is not HOST APPID")
    (domain,) = checked([AppDomain(words[0], words[1])], "", None)
    return domain
