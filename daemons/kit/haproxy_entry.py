"""The platform's entry, where HAProxy is it: what `bin/up` adds to the gateway of its one node, and an entry of its own
before several nodes. It says what nginx_entry.conf says, in HAProxy's words. Format: HAProxy 2.6 configuration manual.
"""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from daemons.kit import gateway_values as values
from daemons.kit.gateway_domains import AppDomain, checked
from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.gateway_pages import pages

_CIPHERS: Final = ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
_SCRIPT: Final = "ways.lua"
_DOMAINS: Final = "domains.map"
#: Where the node knows the app of a host, unless that is what was asked for.
_DOMAIN_PATH: Final = (
    "    acl own_address path,field(3,/),strcmp(txn.domain) eq 0\n"
    "    http-request set-path /runtime/%[var(txn.domain)]%[path] if { var(txn.domain) -m found } "
    "!{ path_beg /runtime/ /apps/ } or { var(txn.domain) -m found } !own_address\n"
)
_HERE: Final = files("daemons.kit")
_SHARED: Final = _HERE.joinpath("haproxy_entry.cfg").read_text(encoding="utf-8")
_FRONT: Final = Template(_HERE.joinpath("haproxy_front.cfg").read_text(encoding="utf-8"))
_ASKING: Final = Template(_HERE.joinpath("ways.lua").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses and ports of what is not on nodes: the API, and the service behind /fun-agent/, which pages of
    `agent_origins` may call. Bodies may have so many megabytes."""

    api: tuple[str, int]
    agent: tuple[str, int] | None = None
    body_megabytes: int = 200
    agent_origins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HaproxyEntry:
    """What it needs to know. `folder` holds its maps and its script; tokens come from its environment. `certificate` is
    a PEM file with chain and key: by TLS, and `plain_port` sends on who comes without. `rate` is requests in ten
    seconds and `connections` what is open, each of one address."""

    host: str
    port: int
    services: Services
    deploy: tuple[str, int]
    folder: Path
    certificate: Path | None = None
    plain_port: int = 80
    own: OwnHosts | None = None
    domains: tuple[AppDomain, ...] = ()
    entrances: tuple[str, ...] = ()
    max_connections: int = 4000
    rate: int = 1500
    connections: int = 200
    tunnel_seconds: int = 3600


def entrances(networks: tuple[str, ...]) -> str:
    """Of whom to believe what they say of visitors. The scheme comes first: it is another source afterwards."""
    plain = "    http-request set-var(txn.scheme) str(http)\n"
    if not networks:
        return plain
    listed = " ".join(map(values.network, networks))
    return (
        f"{plain}    acl by_entry src {listed}\n"
        "    acl visited req.hdr_ip(x-forwarded-for,-1) -m found\n"
        "    http-request set-var(txn.scheme) str(https) if by_entry { req.fhdr(x-forwarded-proto) -m str https }\n"
        "    http-request set-var(txn.hosted) bool(true) if by_entry { req.fhdr(x-gateway-hop) -m str domain }\n"
        "    http-request set-src req.hdr_ip(x-forwarded-for,-1) if by_entry visited\n"
    )


def parts(services: Services, pages_path: str, tunnel_seconds: int) -> dict[str, str]:
    """What a configuration with these services has, by the place where it stands. Raises Misconfigured."""
    pieces = re.split(r"^# --- (\w+)\n", _SHARED, flags=re.MULTILINE)
    found = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    found["backends"] += found["agent"] if services.agent else found["noagent"]
    found["backends"] = found["backends"].replace("$cors\n", found["cors"] if services.agent_origins else "")
    filled = {
        "pages": pages_path,
        "api": values.address(*services.api),
        "agent": values.address(*services.agent) if services.agent else "",
        "agent_origins": " ".join(map(values.origin, services.agent_origins)),
        "body_bytes": values.positive(services.body_megabytes, "body_megabytes") * 2**20,
        "tunnel_seconds": f"{values.positive(tunnel_seconds, 'tunnel_seconds')}s",
    }
    return {
        name: Template(found[name].replace("$passing", found["passing"])).substitute(filled)
        for name in ("frontend", "ways", "backends", "passing")
    }


def render(entry: HaproxyEntry) -> str:
    """The configuration's text. Raises Misconfigured for a value that HAProxy would misread."""
    pages_path = values.path(entry.folder / "pages.map", "folder")
    shared = parts(entry.services, pages_path, entry.tunnel_seconds)
    return _FRONT.substitute(
        shared,
        bind=values.address(entry.host, entry.port),
        **_tls(entry),
        entrances=entrances(entry.entrances),
        own=_own(entry.own),
        **_domains(entry),
        script=values.path(entry.folder / _SCRIPT, "folder"),
        map=values.path(entry.folder / "ways.map", "folder"),
        pages=pages_path,
        max_connections=values.positive(entry.max_connections, "max_connections"),
        requests=values.positive(entry.rate, "rate"),
        connections=values.positive(entry.connections, "connections"),
        tunnel_seconds=f"{values.positive(entry.tunnel_seconds, 'tunnel_seconds')}s",
    )


def _tls(entry: HaproxyEntry) -> dict[str, str]:
    if entry.certificate is None:
        return {"tls": "", "redirect": "", "hsts": ""}
    # Mozilla's guideline 5.7, intermediate, without the ciphers that need DH parameters of one's own.
    ciphers = ":".join(f"ECDHE-{kind}-{name}" for name in _CIPHERS for kind in ("ECDSA", "RSA"))
    crt = " crt ".join([values.path(entry.certificate, "certificate"), *_certificates(entry.domains)])
    options = f"ssl-min-ver TLSv1.2 no-tls-tickets ciphers {ciphers} alpn h2,http/1.1"
    port = "" if entry.port == 443 else f":{entry.port}"
    return {
        "tls": f" ssl crt {crt} {options}\n    bind {values.address(entry.host, entry.plain_port)}",
        "redirect": (
            "    http-request redirect code 308 location "
            f"https://%[req.hdr(host),field(1,:)]{port}%[capture.req.uri] "
            "unless { ssl_fc } or { path /gateway/health }\n"
        ),
        # The owner of an app's own host may go elsewhere with it, where there is no TLS.
        "hsts": (
            "    http-after-response set-header Strict-Transport-Security max-age=63072000 "
            "if { ssl_fc } !{ var(txn.domain) -m found }\n"
        ),
    }


def _own(own: OwnHosts | None) -> str:
    if own is None:
        return ""
    named = f"{{ req.hdr(host),lower -m reg ^[a-z0-9-]{{1,40}}\\.{own.pattern}(:[0-9]+)?$ }}"
    return f"    http-request set-var-fmt(txn.asked) a:%[req.hdr(host),lower,field(1,.)] if {named}\n"


def _domains(entry: HaproxyEntry) -> dict[str, str]:
    """What an app's own host adds: it is led to the app, below whose address on the platform its node knows it."""
    if not checked(entry.domains, "", entry.own.host if entry.own else None):
        return {"domains": "", "domain_paths": ""}
    known = _known_host(entry.folder / _DOMAINS)
    asked = "    http-request set-var-fmt(txn.asked) r:%[var(txn.domain)] if { var(txn.domain) -m found }\n"
    # The node is told that the app has the whole host: its cookies need not stay below its address.
    told = "    http-request set-header X-Gateway-Hop domain if { var(txn.domain) -m found }\n"
    return {"domains": known + asked, "domain_paths": told + _DOMAIN_PATH}


def hosts(listed: Path) -> str:
    """For the gateway of the one node there is: hosts of apps' own, by a list as the API tells it. What they ask for is
    the app's from then on, whatever it is called. Raises Misconfigured."""
    own = "    http-request set-var(txn.hosted) bool(true) if { var(txn.domain) -m found }\n"
    return _known_host(listed) + own + _DOMAIN_PATH


def _known_host(listed: Path) -> str:
    path = values.path(listed, "list of domains")
    return (
        f"    http-request set-var(txn.domain) req.hdr(host),lower,field(1,:),map_str({path})\n"
        "    http-request del-header x-admin-token if { var(txn.domain) -m found }\n"
    )


def _certificates(domains: tuple[AppDomain, ...]) -> list[str]:
    return [values.path(each.certificate, "certificate") for each in domains if each.certificate is not None]


def install(entry: HaproxyEntry, config_path: Path) -> None:
    """Write configuration, script, pages and an empty map. Raises Misconfigured, or OSError."""
    text = render(entry)
    script = _ASKING.substitute(
        map=entry.folder / "ways.map",
        api=values.address(*entry.services.api),
        deploy=values.address(*entry.deploy),
    )
    for folder in (config_path.parent, entry.folder):
        folder.mkdir(parents=True, exist_ok=True)
    (entry.folder / "pages.map").write_text(pages(), encoding="utf-8")
    (entry.folder / _SCRIPT).write_text(script, encoding="utf-8")
    if entry.domains:
        listed = "".join(f"{domain.host} {domain.app_id}\n" for domain in entry.domains)
        (entry.folder / _DOMAINS).write_text(listed, encoding="utf-8")
    # What a former process found is old.
    (entry.folder / "ways.map").write_text("", encoding="utf-8")
    config_path.write_text(text, encoding="utf-8")


def command(haproxy: str, config_path: Path) -> tuple[str, ...]:
    """The command line of an entry in the foreground."""
    return (haproxy, "-W", "-db", "-f", str(config_path))
