"""The platform's entry, where nginx is it: one configuration file before several nodes of either kind, rendered once.

What it does with each address is in the file itself (nginx_entry.conf); HAProxy's entry says the same in its words.
Format: nginx 1.22, modules ngx_http_proxy, map, geo, rewrite, auth_request,
limit_req, limit_conn, realip and ssl.
TLS: Mozilla's server side guideline 5.7, intermediate.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from daemons.kit import gateway_values as values
from daemons.kit import nginx_entrances
from daemons.kit.gateway_domains import AppDomain, checked
from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.gateway_pages import page
from daemons.kit.nginx_pages import locations

_TEXT: Final = files("daemons.kit").joinpath("nginx_entry.conf").read_text(encoding="utf-8")
_NAMED: Final = "        add_header X-Request-Id $en_request_id always;\n"
_PAGES: Final = ("absent", "unserved", "unfound", "away", "large", "often", "looped", "closed")


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain and key as PEM files; visitors without TLS come to `plain_port` and are sent on."""

    certificate: Path
    key: Path
    plain_port: int = 80
    acme: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one visitor's address: requests a second and how many at once beyond that, and connections. A page of a
    development server asks for hundreds of files. Of one request: the megabytes of its body. `tunnel_seconds` is the
    longest silence of a stream."""

    rate: int = 50
    burst: int = 1000
    connections: int = 200
    body_megabytes: int = 200
    tunnel_seconds: int = 3600


@dataclass(frozen=True, slots=True)
class NginxEntry:
    """What it needs to know. `api`, `deploy` and `agent` (the service behind /fun-agent/) are addresses and ports, the
    tokens the proofs that the first two want from gateways; `cache_path` is a folder of nginx's own for what they
    answered. `agent_origins` are pages elsewhere that may call the agent service."""

    host: str
    port: int
    api: tuple[str, int]
    deploy: tuple[str, int]
    cache_path: Path
    api_token: str = field(repr=False)
    deploy_token: str = field(repr=False)
    agent: tuple[str, int] | None = None
    agent_origins: tuple[str, ...] = ()
    name: str = "_"
    tls: Tls | None = None
    own: OwnHosts | None = None
    domains: tuple[AppDomain, ...] = ()
    limits: Limits = field(default_factory=Limits)
    log_path: Path | None = None
    #: Addresses and networks of gateways before this one: what they say of a visitor's address and scheme is believed.
    entrances: tuple[str, ...] = ()
    #: Addresses and ports of name servers, for nodes that say a name where they are.
    resolvers: tuple[tuple[str, int], ...] = ()


def render(entry: NginxEntry) -> str:
    """The configuration's text. It holds tokens: nobody but nginx's master may read it. Raises Misconfigured for a
    value that nginx would misread."""
    main, *named = re.split(r"^# --- (\w+)\n", _TEXT, flags=re.MULTILINE)
    parts = dict(zip(named[::2], named[1::2], strict=True))
    text = main.replace("$domain_servers\n", "".join(_domain(entry, parts, each) for each in _domains(entry)))
    for name, part in _chosen(entry, parts).items():
        text = text.replace(f"${name}\n", part)
    return Template(text).substitute(_values(entry))


def _domains(entry: NginxEntry) -> Sequence[AppDomain]:
    """Those that visitors can come to: with TLS every host needs a certificate of its own."""
    found = checked(entry.domains, entry.name, entry.own.host if entry.own else None)
    return [each for each in found if entry.tls is None or each.certificate is not None]


def _domain(entry: NginxEntry, parts: dict[str, str], domain: AppDomain) -> str:
    """The server of one host, with places of its own filled in. Its owner may go elsewhere with it, where there is no
    TLS, so browsers are not told to remember that there was."""
    tls = ""
    if entry.tls is not None and domain.certificate is not None and domain.key is not None:
        tls = parts["tls"].replace("$certificate", values.path(domain.certificate, "certificate"))
        tls = tls.replace("$key", values.path(domain.key, "key"))
    text = parts["domain"].replace("$domain_tls\n", tls)
    # Nor does an app get what operators show to the API.
    shared = parts["shared"].replace("$hsts\n", "").replace("X-Admin-Token $$en_admin_token;", 'X-Admin-Token "";')
    text = text.replace("$domain_shared\n", shared)
    # The node is told that the app has the whole host: its cookies need not stay below its address.
    text = text.replace("X-Gateway-Hop entry;", "X-Gateway-Hop domain;")
    return text.replace("$domain_app", domain.app_id).replace("$domain;", f"{domain.host};")


def _chosen(entry: NginxEntry, parts: dict[str, str]) -> dict[str, str]:
    """What stands in the places of the text, in the order in which they are filled."""
    cors = entry.agent is not None and bool(entry.agent_origins)
    return {
        "own_server": parts["own"] if entry.own else "",
        "redirecting": parts["redirecting"] if entry.tls else "",
        "tls": parts["tls"] if entry.tls else "",
        "shared": parts["shared"],
        "agent_location": parts["agent"] if entry.agent else "",
        "agent_cors": parts["cors"] if cors else "",
        "agent_maps": parts["corsmaps"] if cors else "",
        "asking": parts["asking"],
    }


def _values(entry: NginxEntry) -> dict[str, object]:
    own = entry.own or OwnHosts("", "")
    limits, bind = entry.limits, values.address(entry.host, entry.port)
    listen = f"listen {bind} ssl http2;" if entry.tls else f"listen {bind};"
    return {
        "listen": listen,
        "own_listen": listen,
        "own_host": own.pattern,
        "no_own": "" if entry.own else 'map "" $en_own {\n    default "";\n}\n',
        "name": entry.name if entry.name == "_" else values.name(entry.name),
        "cache": values.path(entry.cache_path, "cache"),
        "api": values.address(*entry.api),
        "deploy": values.address(*entry.deploy),
        "api_token": values.token(entry.api_token, "token for the API"),
        "deploy_token": values.token(entry.deploy_token, "token for deploy"),
        "rate": values.positive(limits.rate, "rate"),
        "burst": values.positive(limits.burst, "burst"),
        "connections": values.positive(limits.connections, "connections", 65535),
        "body_megabytes": values.positive(limits.body_megabytes, "body_megabytes"),
        "tunnel_seconds": f"{values.positive(limits.tunnel_seconds, 'tunnel_seconds')}s",
        "stripped": "".join(f'    proxy_set_header {name} "";\n' for name in nginx_entrances.STRIPPED),
        "page_locations": "".join(locations(page(name), "en", _NAMED) for name in _PAGES),
        "log_format": _log(entry.log_path),
        "entrances": nginx_entrances.scheme(entry.entrances, "en"),
        "believed": nginx_entrances.believed(entry.entrances),
        "resolver": _resolver(entry.resolvers),
        **_agent(entry),
        **_tls(entry),
    }


def _resolver(servers: tuple[tuple[str, int], ...]) -> str:
    """Names are asked for again after ten seconds, whatever their servers say: a node that moved must be found."""
    listed = " ".join(values.address(*each) for each in servers)
    return f"    resolver {listed} valid=10s;\n    resolver_timeout 2s;\n" if listed else ""


def _agent(entry: NginxEntry) -> dict[str, str]:
    upstream = ""
    if entry.agent is not None:
        upstream = f"upstream funai_agent {{\n    server {values.address(*entry.agent)};\n    keepalive 8;\n}}\n"
    origins = "".join(f'    "{values.origin(each)}" $http_origin;\n' for each in entry.agent_origins)
    return {"agent_upstream": upstream, "agent_origins": origins}


def _tls(entry: NginxEntry) -> dict[str, str]:
    if entry.tls is None:
        return {"hsts": "", "bind": "", "certificate": "", "key": "", "acme": "", "https_port": ""}
    acme = ""
    if entry.tls.acme is not None:
        root = values.path(entry.tls.acme, "folder for ACME")
        acme = f"    location ^~ /.well-known/acme-challenge/ {{\n        root {root};\n    }}\n"
    return {
        "hsts": "    add_header Strict-Transport-Security max-age=63072000 always;\n",
        "bind": values.address(entry.host, entry.tls.plain_port),
        "certificate": values.path(entry.tls.certificate, "certificate"),
        "key": values.path(entry.tls.key, "key"),
        "acme": acme,
        "https_port": "" if entry.port == 443 else f":{entry.port}",
    }


def _log(log_path: Path | None) -> str:
    """Without query strings, cookies and headers: any of them may carry a secret of a visitor."""
    if log_path is None:
        return ""
    keys = {
        "at": "$time_iso8601", "id": "$en_request_id", "visitor": "$remote_addr", "method": "$request_method",
        "path": "$en_logged", "bytes": "$body_bytes_sent", "upstream": "$upstream_addr",
    }  # fmt: skip
    strings = ",".join(f'"{key}":"{value}"' for key, value in keys.items())
    return (
        'map $request_uri $en_logged {\n    default "";\n    "~^(?<en_path>[^?]*)" $en_path;\n}\n'
        f'log_format funai_entry escape=json \'{{{strings},"status":$status,"seconds":$request_time}}\';\n'
        f"access_log {values.path(log_path, 'log')} funai_entry;\n"
    )
