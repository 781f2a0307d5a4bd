"""What the kernel's table of connections says is in flight."""

from daemons.agent.domain.connections import in_flight
from daemons.agent.domain.visitors import InFlight

_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#: 127.0.0.1:20001.
_TARGET = "0100007F:4E21"


def _table(*rows: tuple[str, str, str]) -> str:
    lines = (f"   {n}: {local} {remote} {state} 00000000:00000000" for n, (local, remote, state) in enumerate(rows))
    return _HEAD + "\n".join(lines)


def _counted(*rows: tuple[str, str, str]) -> InFlight:
    return in_flight(_table(*rows), 20001, "127.0.0.2", "127.0.0.3", "127.0.0.4")


def test_each_kind_is_known_by_where_it_comes_from() -> None:
    rows = [(f"0{kind}00007F:{n:04X}", _TARGET, "01") for kind in (2, 2, 2, 3, 4) for n in (0x9000,)]
    assert _counted(*rows) == InFlight(3, 1, 1)


def test_one_that_is_being_opened_counts_and_one_that_was_closed_does_not() -> None:
    states = ("02", "04", "05", "06", "07", "08", "0A")
    assert _counted(*(("0200007F:9000", _TARGET, state) for state in states)) == InFlight(1)


def test_nobody_elses_connections_count() -> None:
    assert (
        _counted(
            ("0100007F:9000", _TARGET, "01"),
            ("0200007F:9000", "0100007F:4E22", "01"),
            ("0200007F:4E21", "0100007F:9000", "01"),
            ("0200007F:9000", "0200007F:4E21", "01"),
        )
        == InFlight()
    )
