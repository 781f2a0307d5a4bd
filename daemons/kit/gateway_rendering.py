"""Prints or writes the configurations of gateways: what `funai gateway render` starts.

    funai gateway render --kind nginx --role entry --listen 0.0.0.0:443 ... --output /etc/nginx/conf.d/funai.conf

Roles: `entry`, before several nodes; `workspace` and `runtime`, the gateway of one node. Tokens come from the
environment. nginx has them in the file that --output names and CHANGE_ME in what is printed; HAProxy reads them itself.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from daemons.kit import (
    gateway,
    gateway_domains,
    gateway_values,
    haproxy_entry,
    nginx_entry,
    nginx_gateway,
    nginx_runtime,
)
from daemons.kit.gateway import Gateway, PreviewNode
from daemons.kit.gateway_domains import AppDomain, checked, with_certificates
from daemons.kit.gateway_hosts import OwnHosts
from daemons.kit.haproxy_entry import HaproxyEntry, Services
from daemons.kit.nginx_entry import Limits, NginxEntry, Tls
from daemons.kit.nginx_gateway import NginxGateway
from daemons.kit.nginx_runtime import RuntimeNginx
from daemons.kit.settings import Misconfigured

Told = argparse.Namespace
_HIDDEN: Final = "CHANGE_ME"
_OF_NODE: Final = "FUNAI_WORKSPACE_NGINXAUTHTOKEN"
_OF_API: Final = "FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"
_OF_DEPLOY: Final = "DEPLOY_GATEWAY_TOKEN"
#: Combinations that there are not, and why.
_NOT: Final[Mapping[tuple[str, str], str]] = {
    ("traefik", "entry"): "Traefik cannot choose a server by what a lookup answers; use nginx or haproxy",
    ("traefik", "workspace"): "Traefik cannot choose a port by what a lookup answers; use nginx or haproxy",
}
#: The agent writes the routes (daemons/agent/domain/traefik.py). Format: Traefik 2.11 and 3, static configuration.
_TRAEFIK: Final = """# Traefik before the apps of one runtime node, whose agent has RUNTIME_GATEWAY_DRIVER=traefik and
# RUNTIME_TRAEFIK_FILE={routes}. It runs in the host's network. No test runs Traefik with it.
entryPoints:
  web:
    address: "{listen}"
{trusted}providers:
  file:
    filename: {routes}
    watch: true
ping:
  entryPoint: web
"""


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says. Exit code 78 (EX_CONFIG) for what a gateway would misread, with the reason on
    standard error."""
    made = parser("funai gateway render", __doc__)
    told = made.parse_args(arguments)
    try:
        write(told)
    except Misconfigured as error:
        sys.stderr.write(f"{made.prog}: {error}\n")
        return os.EX_CONFIG
    return os.EX_OK


def write(told: Told) -> None:
    """What `parser` was told. Raises Misconfigured."""
    reason = _NOT.get((told.kind, told.role))
    if reason is not None:
        raise Misconfigured(reason)
    _KINDS[told.kind](told)


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Of what there is to be said of a gateway."""
    parser = argparse.ArgumentParser(prog=name, description=description, formatter_class=_Formatter)
    parser.add_argument("--kind", choices=("nginx", "haproxy", "traefik"), required=True)
    parser.add_argument("--role", choices=("entry", "workspace", "runtime"), required=True)
    parser.add_argument("--listen", default="0.0.0.0:80", help="ADDRESS:PORT that visitors come to")
    parser.add_argument("--output", type=Path, help="the file; what belongs to it is written as well")
    parser.add_argument("--entrance", action="append", default=[], help="a gateway before this one: ADDRESS or NETWORK")
    parser.add_argument("--hosts", default="", help="https://preview.example.com: each preview has a host below it")
    parser.add_argument("--node", default="127.0.0.1:7001", help="workspace: ADDRESS:PORT of the node's API")
    parser.add_argument("--cache", type=Path, default=Path("/var/cache/nginx/funai"), help="nginx: a folder of its own")
    parser.add_argument("--folder", type=Path, default=Path("/var/lib/funai/gateway"), help="maps, links and sockets")
    parser.add_argument(
        "--admin", default="127.0.0.1:7006", help="nginx, runtime: ADDRESS:PORT where the agent asks it"
    )
    parser.add_argument("--routes", type=Path, default=Path("/var/lib/funai/agent/traefik.yml"), help="traefik")
    _entry_options(parser)
    return parser


def _entry_options(parser: argparse.ArgumentParser) -> None:
    entry = parser.add_argument_group("entry")
    entry.add_argument("--api", default="127.0.0.1:8080", help="ADDRESS:PORT")
    entry.add_argument("--deploy", default="127.0.0.1:7002", help="ADDRESS:PORT")
    entry.add_argument("--agent", help="ADDRESS:PORT of the service behind /fun-agent/")
    entry.add_argument("--agent-origin", action="append", default=[], help="pages that may call it: https://host")
    entry.add_argument("--name", default="_", help="the platform's host")
    entry.add_argument("--certificate", type=Path, help="PEM file, with --key: by TLS")
    entry.add_argument("--key", type=Path, help="PEM file")
    entry.add_argument("--plain-port", type=int, default=80, help="with TLS: where visitors without it are sent on")
    entry.add_argument("--acme", type=Path, help="with TLS: the folder that answers for the host")
    entry.add_argument(
        "--resolver", action="append", default=[], help="nginx: ADDRESS:PORT of a name server, where nodes have names"
    )
    entry.add_argument("--domains", type=Path, help="a list of hosts of apps' own: HOST APPID lines, as the API tells")
    entry.add_argument(
        "--domain-certificates", type=Path, help="with TLS: a folder with HOST.pem (nginx: and HOST.key)"
    )
    entry.add_argument("--log", type=Path, help="nginx: the file of its access log")
    usual = Limits()
    entry.add_argument("--rate", type=int, default=usual.rate, help="requests a second of one address")
    entry.add_argument("--burst", type=int, default=usual.burst, help="requests of one address at once beyond that")
    entry.add_argument("--connections", type=int, default=usual.connections, help="of one address")
    entry.add_argument("--body-megabytes", type=int, default=usual.body_megabytes, help="of one request")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Both."""


def _nginx(told: Told) -> None:
    if told.role == "entry":
        text = nginx_entry.render(_nginx_entry(told))
    elif told.role == "runtime":
        at, admin = gateway_values.place(told.listen), gateway_values.place(told.admin)
        text = nginx_runtime.render(RuntimeNginx(*at, told.folder, admin, entrances=tuple(told.entrance)))
    else:
        at, node, own = gateway_values.place(told.listen), gateway_values.place(told.node), _own(told)
        token, entrances = _token(told, _OF_NODE), tuple(told.entrance)
        text = nginx_gateway.render(NginxGateway(*at, *node, told.cache, token, own=own, entrances=entrances))
    _put(told.output, text)


def _nginx_entry(told: Told) -> NginxEntry:
    if (told.certificate is None) is not (told.key is None):
        raise Misconfigured("TLS needs both --certificate and --key")
    tls = None if told.certificate is None else Tls(told.certificate, told.key, told.plain_port, told.acme)
    return NginxEntry(
        *gateway_values.place(told.listen),
        api=gateway_values.place(told.api),
        deploy=gateway_values.place(told.deploy),
        cache_path=told.cache,
        api_token=_token(told, _OF_API),
        deploy_token=_token(told, _OF_DEPLOY),
        agent=gateway_values.place(told.agent) if told.agent else None,
        agent_origins=tuple(told.agent_origin),
        name=told.name,
        tls=tls,
        own=_own(told),
        domains=_domains(told, key_apart=True),
        limits=Limits(told.rate, told.burst, told.connections, told.body_megabytes),
        log_path=told.log,
        entrances=tuple(told.entrance),
        resolvers=tuple(map(gateway_values.place, told.resolver)),
    )


def _haproxy(told: Told) -> None:
    if told.role == "entry":
        _haproxy_entry(told)
        return
    previews = None
    if told.role == "workspace":
        previews = PreviewNode(*gateway_values.place(told.node), own=_own(told))
    at, folder = gateway_values.place(told.listen), told.folder
    made = Gateway(*at, folder / "routes.map", folder / "admin.sock", previews=previews, entrances=tuple(told.entrance))
    if told.output is None:
        sys.stdout.write(gateway.render(made))
    else:
        gateway.install(made, told.output)


def _haproxy_entry(told: Told) -> None:
    if told.key is not None or told.acme is not None or told.resolver:
        raise Misconfigured("haproxy has the key in --certificate, and no --acme and no --resolver; nginx has")
    agent = gateway_values.place(told.agent) if told.agent else None
    entry = HaproxyEntry(
        *gateway_values.place(told.listen),
        Services(gateway_values.place(told.api), agent, told.body_megabytes, tuple(told.agent_origin)),
        gateway_values.place(told.deploy),
        told.folder,
        certificate=told.certificate,
        plain_port=told.plain_port,
        own=_own(told),
        domains=_domains(told, key_apart=False),
        entrances=tuple(told.entrance),
        # It counts over ten seconds.
        rate=10 * told.rate + told.burst,
        connections=told.connections,
    )
    if told.output is None:
        sys.stdout.write(haproxy_entry.render(entry))
    else:
        haproxy_entry.install(entry, told.output)


def _traefik(told: Told) -> None:
    host, port = gateway_values.place(told.listen)
    networks = "".join(f'        - "{gateway_values.network(each)}"\n' for each in told.entrance)
    trusted = f"    forwardedHeaders:\n      trustedIPs:\n{networks}" if networks else ""
    routes = gateway_values.path(told.routes, "file of routes")
    _put(told.output, _TRAEFIK.format(listen=gateway_values.address(host, port), routes=routes, trusted=trusted))


_KINDS: Final[Mapping[str, Callable[[Told], None]]] = {"nginx": _nginx, "haproxy": _haproxy, "traefik": _traefik}


def _own(told: Told) -> OwnHosts | None:
    return OwnHosts.of(told.hosts) if told.hosts else None


def _domains(told: Told, *, key_apart: bool) -> tuple[AppDomain, ...]:
    """Those of the list. Whoever has no certificate where the others have one is told of."""
    if told.domains is None:
        return ()
    found = checked(gateway_domains.read(told.domains), told.name, None)
    if told.certificate is None:
        return tuple(found)
    if told.domain_certificates is None:
        raise Misconfigured("with TLS, --domains needs --domain-certificates, a folder with HOST.pem for each host")
    found = with_certificates(found, told.domain_certificates, key_apart=key_apart)
    for domain in found:
        if domain.certificate is None:
            sys.stderr.write(
                f"{domain.host} has no usable certificate in {told.domain_certificates}: not seen by TLS yet\n"
            )
    return tuple(found)


def _token(told: Told, name: str) -> str:
    if told.output is None:
        return _HIDDEN
    token = os.environ.get(name, "")
    if not token or token.startswith(_HIDDEN):
        raise Misconfigured(f"{name} is not set; it is what the gateway shows when it asks")
    return token


def _put(output: Path | None, text: str) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    draft = output.with_name(f".{output.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="utf-8")
    # The gateway may be told to read it again at any time: it is one or the other.
    draft.replace(output)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
