"""Which registries are spoken to without TLS, and what their words and those of builders about a push mean.

Neither an engine nor buildah tells a registry's answer in any other way than in words: those of the distribution
specification's error codes, of HTTP's statuses and of the Go standard library, which all of them are made with.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final

#: Somebody decided: the same push would be refused again, and with every try a locked account comes closer.
_REFUSED: Final = re.compile(
    r"unauthori[sz]ed|authentication required|denied|forbidden|\b40[13]\b|name[_ ]invalid|invalid (?:repository )?name"
    r"|name[_ ]unknown|manifest[_ ]invalid|\bunsupported\b|x509|certificate|http response to https|no such image"
    r"|image not known|no space left|quota"
)
_PASSING: Final = re.compile(
    r"connection refused|connection reset|connect call failed|cannot connect|broken pipe|\beof\b|closed (?:network )?"
    r"connection|disconnected|time(?:d )?[- ]?out|no route to host|network is unreachable|temporary failure"
    r"|connection attempts failed|server misbehaving"
    r"|too ?many ?requests|\b(?:429|50[0234])\b|internal server error|bad gateway|service unavailable|gateway time"
    r"|upload[_ ]unknown|blob[_ ]unknown|unknown blob|upload[_ ]invalid|digest[_ ]invalid|did not match"
)
#: Names of repositories and tags are strangers' words.
_ADDRESS: Final = re.compile(r"[a-z]+://[^\s\"]*")
_PLAIN: Final = "server gave http response to https client"
PLAIN_SETTING: Final = "RUNNER_PLAIN_HTTP_REGISTRIES"
PLAIN_ADVICE: Final = (
    "The registry answers without TLS. Give it a certificate or, where its network is trusted, list its host:port in "
    f"{PLAIN_SETTING} of the runner, and in insecure-registries of every engine that talks to it."
)


def is_plain(host: str, listed: Collection[str]) -> bool:
    """Whether a registry is spoken to without TLS: those that an operator listed, and those of this machine, as engines
    do it."""
    return host in listed or is_here(host)


def is_here(host: str) -> bool:
    """Whether `host[:port]` is this machine by its own name."""
    name = host.partition(":")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def may_pass(words: str, image: str = "") -> bool:
    """Whether what the push of an image failed with may be over in a moment. What is not understood is not."""
    lowered = _ADDRESS.sub("", words.lower().replace(image.lower(), "") if image else words.lower())
    return not _REFUSED.search(lowered) and _PASSING.search(lowered) is not None


def lacks_tls(words: str) -> bool:
    """Whether a call failed because the registry speaks plain HTTP."""
    return _PLAIN in words.lower()
