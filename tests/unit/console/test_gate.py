"""Who may come in to the console in a browser."""

from pathlib import Path

from console.settings import ConsoleSettings, read
from console.web.gate import MOST_SESSIONS, MOST_WRONG, SESSION_SECONDS, Address, Gate
from console.web.server import environment


class Now:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_only_our_own_names_are_hosts_and_origins() -> None:
    here = Address("127.0.0.1", 7080)
    assert here.knows_host("127.0.0.1:7080") and here.knows_host("localhost:7080")
    for host in (None, "", "127.0.0.1", "127.0.0.1:7081", "evil.example:7080"):
        assert not here.knows_host(host)
    assert here.knows_origin("http://127.0.0.1:7080") and here.knows_origin("http://localhost:7080")
    for origin in (None, "null", "http://127.0.0.1:7081", "https://evil.example", "http://127.0.0.1:7080.evil.example"):
        assert not here.knows_origin(origin)
    behind = Address("127.0.0.1", 7080, "https://console.example")
    assert behind.secure and behind.knows_host("console.example") and behind.knows_origin("https://console.example")
    assert not behind.knows_origin("http://console.example")


def test_sessions_end() -> None:
    now = Now()
    gate = Gate(now)
    session = gate.open("token")
    assert gate.session(session.name) is session and "token" not in repr(session)
    assert gate.session("another") is None and gate.session(None) is None
    now.seconds = SESSION_SECONDS
    assert gate.session(session.name) is None
    first, *_ = [gate.open("token") for _ in range(MOST_SESSIONS + 1)]
    assert gate.session(first.name) is None
    last = gate.open("token")
    gate.end(last)
    assert gate.session(last.name) is None


def test_guessing_is_slow() -> None:
    now = Now()
    gate = Gate(now)
    for _ in range(MOST_WRONG):
        assert not gate.closed
        gate.wrong()
    assert gate.closed
    now.seconds = 60
    assert not gate.closed


def test_a_tab_has_the_operators_token_and_what_the_context_allows() -> None:
    served = ConsoleSettings(
        Path("data"), "https://deploy.example:7002", None, "the server's own", write=False, name="prod", production=True
    )
    ours = {"FUNAI_CONTEXT": "prod", "DEPLOY_ADMIN_TOKEN": "the server's own", "FUNAI_CONFIG": "/nowhere"}
    found = read(ours | dict(environment(served, "the operator's")))
    assert (found.deploy_url, found.admin_token, found.name) == (served.deploy_url, "the operator's", "")
    assert (found.write, found.production) == (False, True)
