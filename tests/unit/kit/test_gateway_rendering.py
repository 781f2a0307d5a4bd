"""What operators get of gateways' configurations, and what they are told when they get none."""

from pathlib import Path

import pytest

from daemons.kit import gateway, haproxy_entry, nginx_entry, nginx_gateway, nginx_runtime
from daemons.kit.gateway import Gateway, PreviewNode
from daemons.kit.gateway_rendering import main
from daemons.kit.haproxy_entry import HaproxyEntry, Services
from daemons.kit.nginx_entry import NginxEntry, Tls
from daemons.kit.nginx_gateway import NginxGateway
from daemons.kit.nginx_runtime import RuntimeNginx
from tests.support import certificates

_TOKENS = {
    "FUNAI_WORKSPACE_NGINXAUTHTOKEN": "of-the-node-0123456789",
    "FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN": "of-the-api-0123456789",
    "DEPLOY_GATEWAY_TOKEN": "of-deploy-0123456789",
}
_API, _DEPLOY = ("127.0.0.1", 8080), ("127.0.0.1", 7002)
_CACHE, _FOLDER = Path("/var/cache/nginx/funai"), Path("/var/lib/funai/gateway")


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, token in _TOKENS.items():
        monkeypatch.setenv(name, token)


def test_what_is_printed_is_what_the_renderers_say_without_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    hidden = "CHANGE_ME"
    maps = (_FOLDER / "routes.map", _FOLDER / "admin.sock")
    for kind, role, text in (
        ("nginx", "entry", nginx_entry.render(NginxEntry("0.0.0.0", 80, _API, _DEPLOY, _CACHE, hidden, hidden))),
        ("nginx", "workspace", nginx_gateway.render(NginxGateway("0.0.0.0", 80, "127.0.0.1", 7001, _CACHE, hidden))),
        ("haproxy", "entry", haproxy_entry.render(HaproxyEntry("0.0.0.0", 80, Services(_API), _DEPLOY, _FOLDER))),
        ("nginx", "runtime", nginx_runtime.render(RuntimeNginx("0.0.0.0", 80, _FOLDER))),
        ("haproxy", "runtime", gateway.render(Gateway("0.0.0.0", 80, *maps))),
        (
            "haproxy",
            "workspace",
            gateway.render(Gateway("0.0.0.0", 80, *maps, previews=PreviewNode("127.0.0.1", 7001))),
        ),
    ):
        assert main(["--kind", kind, "--role", role]) == 0
        assert capsys.readouterr().out == text, (kind, role)


def test_traefik_watches_the_file_that_the_agent_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kind", "traefik", "--role", "runtime", "--listen", "[::1]:80", "--entrance", "10.0.0.1"]) == 0
    text = capsys.readouterr().out
    assert 'address: "[::1]:80"' in text and '- "10.0.0.1/32"' in text
    assert "filename: /var/lib/funai/agent/traefik.yml" in text


@pytest.mark.parametrize(("kind", "role"), [("traefik", "entry"), ("traefik", "workspace")])
def test_what_a_kind_cannot_do_is_said(kind: str, role: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kind", kind, "--role", role]) == 78
    told = capsys.readouterr()
    assert told.out == "" and "use " in told.err


def test_an_operator_writes_the_file_with_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "funai.conf"
    path.write_text("former")
    own = ["--listen", "[::1]:443", "--certificate", "/c.pem", "--key", "/k.pem", "--output", str(path)]
    assert main(["--kind", "nginx", "--role", "entry", *own]) == 0
    tls = Tls(Path("/c.pem"), Path("/k.pem"))
    tokens = (_TOKENS["FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"], _TOKENS["DEPLOY_GATEWAY_TOKEN"])
    assert path.read_text() == nginx_entry.render(NginxEntry("::1", 443, _API, _DEPLOY, _CACHE, *tokens, tls=tls))
    assert (path.stat().st_mode & 0o777, [one.name for one in tmp_path.iterdir()]) == (0o600, ["funai.conf"])


def test_haproxy_gets_everything_beside_its_file_and_no_token(tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    to = ["--folder", str(folder), "--output", str(folder / "haproxy.cfg")]
    assert main(["--kind", "haproxy", "--role", "entry", *to]) == 0
    assert {each.name for each in folder.iterdir()} == {"haproxy.cfg", "pages.map", "ways.lua", "ways.map"}
    assert not any(token in each.read_text() for each in folder.iterdir() for token in _TOKENS.values())
    assert main(["--kind", "haproxy", "--role", "runtime", *to]) == 0
    assert "parking.lua" in (folder / "haproxy.cfg").read_text()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--listen", "everywhere:80"],
        ["--listen", "127.0.0.1:http"],
        ["--api", "127.0.0.1"],
        ["--deploy", "127.0.0.1:0"],
        ["--agent", "agent.internal:80"],
        ["--agent", "127.0.0.1:80", "--agent-origin", 'https://a"; evil'],
        ["--cache", "relative"],
        ["--name", "studio.example.com; evil"],
        ["--certificate", "/c.pem"],
        ["--certificate", "/c d.pem", "--key", "/k.pem"],
        ["--hosts", "preview.example.com"],
        ["--rate", "0"],
        ["--connections", "65536"],
        ["--log", "relative"],
        ["--entrance", "everybody"],
        ["--resolver", "10.0.0.53"],
    ],
)
def test_what_an_operator_gets_wrong_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    path = tmp_path / "funai.conf"
    assert main(["--kind", "nginx", "--role", "entry", "--output", str(path), *wrong]) == 78
    assert not path.exists()
    assert "funai gateway render: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["DEPLOY_GATEWAY_TOKEN", "FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"])
@pytest.mark.parametrize("token", ["", 'a"b', "a b", "a$b"])
def test_a_token_that_is_missing_or_would_be_misread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, token: str
) -> None:
    monkeypatch.setenv(name, token)
    path = tmp_path / "funai.conf"
    assert main(["--kind", "nginx", "--role", "entry", "--output", str(path)]) == 78
    assert not path.exists() and (not token or token not in capsys.readouterr().err)


def test_no_token_is_in_a_representation() -> None:
    assert "secret" not in repr(NginxEntry("0.0.0.0", 80, _API, _DEPLOY, _CACHE, "secret-a", "secret-b"))


def test_domains_come_from_a_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "domains"
    listed.write_text("# 2 domains\nwww.shop.example 20001\nshop.example 20001\n")
    arguments = ["--role", "entry", "--domains", str(listed), "--name", "studio.example"]
    for kind, words in (("nginx", "server_name www.shop.example;"), ("haproxy", "domains.map")):
        assert main(["--kind", kind, *arguments]) == 0
        assert words in capsys.readouterr().out
    folder = tmp_path / "pem"
    folder.mkdir()
    certificates.self_signed(folder, "shop.example")
    tls = ["--certificate", "/etc/ssl/studio.pem", "--key", "/etc/ssl/studio.key"]
    assert main(["--kind", "nginx", *arguments, *tls, "--domain-certificates", str(folder)]) == 0
    told = capsys.readouterr()
    assert f"ssl_certificate {folder}/shop.example.pem;" in told.out and "server_name www.shop" not in told.out
    assert told.err.startswith("www.shop.example has no usable certificate")
    assert main(["--kind", "nginx", *arguments, *tls]) == 78
    assert "--domain-certificates" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# 2 domains\nwww.shop.example 20001\n", "fetch it again"),
        ("www.shop.example 20001\nwww.shop.example 20002\n", "twice"),
        ("studio.example 20001\n", "platform's own"),
        ("x.preview.example.com 20001\n", "platform's own"),
        ("*.shop.example 20001\n", "no host"),
        ("www.shop.example 1;}\n", "no host"),
        ("www.shop.example\n", "line 1"),
        ("www.shop.example; 20001\n", "name"),
        ("www.sh\u00f6p.example 20001\n", "cannot be read"),
    ],
)
@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_list_that_would_lead_astray_is_refused(
    kind: str, text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "domains"
    listed.write_text(text, encoding="utf-8")
    hosts = ["--name", "studio.example", "--hosts", "https://preview.example.com"]
    assert main(["--kind", kind, "--role", "entry", "--domains", str(listed), *hosts]) == 78
    told = capsys.readouterr()
    assert told.out == "" and words in told.err
