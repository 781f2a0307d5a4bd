r"""The gateway of a workspace node, where nginx is it: one configuration file, rendered once.

    FUNAI_WORKSPACE_NGINXAUTHTOKEN=... python -m daemons.kit.nginx_gateway --listen 0.0.0.0:80 \
        --cache /var/cache/nginx/funai --output /etc/nginx/conf.d/funai.conf

It says what HAProxy's (haproxy_previews.cfg) says, in nginx's words. Format: nginx 1.22, modules ngx_http_proxy,
ngx_http_map, ngx_http_rewrite and ngx_http_auth_request.
"""

import argparse
import ipaddress
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.gateway_pages import page
from daemons.kit.settings import Misconfigured

_TEXT: Final = files("daemons.kit").joinpath("nginx_workspace.conf").read_text(encoding="utf-8")
#: Of the forms of the gateway's own answers, as `$ws_form` names them.
_TYPES: Final = {"html": "text/html", "json": "application/json"}
_PLAIN_PATH: Final = re.compile(r"/[A-Za-z0-9._/+@=,-]*[A-Za-z0-9._+@=,-]")
#: What may stand between nginx's quotes and means itself.
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=:,@!*-]{1,512}")


@dataclass(frozen=True, slots=True)
class NginxGateway:
    """What it needs to know. `node` and `node_port` are the address of the node's API, `token` the proof that the node
    wants from gateways; `cache_path` is a folder of nginx's own for what the node answered. `hold_seconds` is how long
    a visitor waits for a workspace that wakes up, `tunnel_seconds` the longest silence of a server."""

    host: str
    port: int
    node: str
    node_port: int
    cache_path: Path
    token: str = field(repr=False)
    hold_seconds: int = 30
    tunnel_seconds: int = 3600
    upload_megabytes: int = 200
    own: OwnHosts | None = None


def render(gateway: NginxGateway) -> str:
    """The configuration's text. It holds the token: nobody but nginx's master may read it. Raises Misconfigured for a
    value that nginx would misread."""
    main, *named = re.split(r"^# --- (\w+)\n", _TEXT, flags=re.MULTILINE)
    parts = dict(zip(named[::2], named[1::2], strict=True))
    # Both kinds of host answer in the same places.
    whole = main + (parts["own"] if gateway.own else "")
    shared = parts["shared"].replace("$answers", "".join(_answers(parts["answers"], form) for form in _TYPES))
    text = whole.replace("$shared", shared).replace("$moved", parts["moved"] if gateway.own else "")
    own = gateway.own or OwnHosts("", "")
    return Template(text).substitute(
        # Elsewhere it is what a server's name says.
        no_own="" if gateway.own else 'map "" $ws_own {\n    default "";\n}\n',
        own_scheme=own.scheme,
        own_authority=own.authority,
        own_host=own.pattern,
        bind=_address(gateway.host, gateway.port),
        node=_host(gateway.node),
        node_port=_positive(gateway.node_port, "node_port", 65535),
        node_address=_host(gateway.node),
        cache=_path(gateway.cache_path),
        token=_token(gateway.token),
        hold_seconds=f"{_positive(gateway.hold_seconds, 'hold_seconds')}s",
        tunnel_seconds=f"{_positive(gateway.tunnel_seconds, 'tunnel_seconds')}s",
        upload_megabytes=_positive(gateway.upload_megabytes, "upload_megabytes"),
        **_pages(),
    )


def _answers(text: str, form: str) -> str:
    """The gateway's own answers in one form."""
    return text.replace("$form", form).replace("$type", _TYPES[form]).replace("$page_", f"$page_{form}_")


def _pages() -> dict[str, str]:
    found = {name: page(name) for name in ("asleep", "interrupted", "private", "unserved")}
    html = {f"page_html_{name}": _quoted(one.html) for name, one in found.items()}
    return html | {f"page_json_{name}": _quoted(one.json) for name, one in found.items()}


def _host(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Misconfigured(f"the gateway needs an IP address, not {text!r}") from None
    return f"[{address}]" if address.version == 6 else str(address)


def _address(host: str, port: int) -> str:
    return f"{_host(host)}:{_positive(port, 'port', 65535)}"


def _path(path: Path) -> str:
    if not _PLAIN_PATH.fullmatch(str(path)):
        raise Misconfigured(
            f"the gateway's cache is {str(path)!r}; nginx needs an absolute path of letters, digits and ._/+@=,- here"
        )
    return str(path)


def _token(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise Misconfigured("the gateway's token may have letters, digits and ._~+/=:,@!*- for nginx, at most 512")
    return text


def _quoted(text: str) -> str:
    """As it stands between nginx's double quotes, where `$` cannot be written."""
    if "$" in text or "\n" in text:
        raise Misconfigured("a page of the gateway holds what nginx cannot say")
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _positive(value: int, name: str, most: int = 1_000_000) -> int:
    if not 1 <= value <= most:
        raise Misconfigured(f"the gateway's {name} must be from 1 to {most}, not {value}")
    return value


def main(arguments: Sequence[str]) -> int:
    """Write the configuration as the command line says; the token comes from the environment. Exit code 78 (EX_CONFIG)
    for what nginx would misread, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m daemons.kit.nginx_gateway", description=__doc__.split("\n")[0])
    parser.add_argument("--listen", default="0.0.0.0:80", help="ADDRESS:PORT that visitors come to")
    parser.add_argument("--node", default="127.0.0.1:7001", help="ADDRESS:PORT of the workspace node")
    parser.add_argument("--cache", type=Path, required=True, help="a folder of nginx's own for what the node answered")
    parser.add_argument("--output", type=Path, required=True, help="the file; only its owner may read it")
    parser.add_argument("--hosts", default="", help="https://preview.example.com: each preview has a host below it")
    told = parser.parse_args(arguments)
    (host, _, port), (node, _, node_port) = told.listen.rpartition(":"), told.node.rpartition(":")
    token = os.environ.get("FUNAI_WORKSPACE_NGINXAUTHTOKEN", "")
    try:
        own = OwnHosts.of(told.hosts) if told.hosts else None
        at, asked = (host.strip("[]"), int(port)), (node.strip("[]"), int(node_port))
        text = render(NginxGateway(*at, *asked, told.cache, token, own=own))
    except (Misconfigured, ValueError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return os.EX_CONFIG
    draft = told.output.with_name(f".{told.output.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    # nginx may be told to read it again at any time: it is one or the other.
    draft.replace(told.output)
    return os.EX_OK


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
