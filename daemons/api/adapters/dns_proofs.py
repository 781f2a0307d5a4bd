"""TXT records by the DNS, asked of the machine's own resolver or of the ones that the settings name."""

from collections.abc import Collection, Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from daemons.api.ports.domains import ProofsUnreachable

_SECONDS: Final = 5.0


class DnsProofs:
    """The port `DomainProofs`. `servers` are addresses and ports; none: what /etc/resolv.conf names."""

    def __init__(self, servers: Sequence[tuple[str, int]] = ()) -> None:
        self._servers = [dns.nameserver.Do53Nameserver(address, port) for address, port in servers]

    async def texts(self, name: str) -> Collection[str]:
        """Raises ProofsUnreachable."""
        try:
            # Made anew for each question: the machine's own resolvers may change, and no former answer is kept.
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = self._servers
            answer = await resolver.resolve(f"{name}.", "TXT", lifetime=_SECONDS, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return ()
        except (dns.exception.DNSException, OSError) as error:
            words = f"the DNS does not answer what {name} is ({type(error).__name__}); ask again in a moment"
            raise ProofsUnreachable(words) from error
        return [b"".join(record.strings).decode("utf-8", "replace") for record in answer]
