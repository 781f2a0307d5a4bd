"""Who is let into a private preview, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from daemons.workspace.domain.passes import (
    GOOD_SECONDS,
    NotAdmitted,
    Pass,
    Rule,
    Rules,
    admits,
    first_pass,
    opened,
    renewed,
    sealed,
)
from daemons.workspace.services.admission import TICKET_SECONDS, Admission
from protocol.workspace_previews import Visibility

_KEY = b"k" * 32
_NOW = 1_800_000_000
_PRIVATE = Rule(Visibility.PRIVATE, 2)


@dataclass
class RememberedRules:
    """The port `RuleRecords` in memory."""

    saved: dict[str, Rules] = field(default_factory=dict)

    async def load(self) -> Sequence[Rules]:
        """All of them."""
        return tuple(self.saved.values())

    async def save(self, record: Rules) -> None:
        """Until the end of the test."""
        self.saved[record.user_id] = record


@dataclass
class Watch:
    """A clock that is moved by hand."""

    at: float = _NOW

    def now(self) -> datetime:
        """What it shows."""
        return datetime.fromtimestamp(self.at, UTC)


def test_a_pass_is_read_as_it_was_made_and_in_no_other_spelling() -> None:
    made = first_pass("7", "app-1", 2, _NOW)
    text = sealed(_KEY, made)
    assert opened(_KEY, text) == made
    assert opened(b"x" * 32, text) is None
    for at, one in enumerate(text):
        other = "a" if one != "a" else "b"
        # The last character of the seal has bits that say nothing.
        assert opened(_KEY, text[:at] + other + text[at + 1 :]) is None, at
    for changed in (f"{text}\n", f" {text}", f"{text}=", text.replace("7.", "07.", 1), "", ".....", "7.app.1.2.3"):
        assert opened(_KEY, changed) is None


@pytest.mark.parametrize(
    ("change", "good"),
    [
        ({}, True),
        ({"user_id": "8"}, False),
        ({"app_id": "app2"}, False),
        ({"generation": 1}, False),
        ({"generation": 3}, False),
        ({"until": _NOW}, False),
        ({"until": _NOW + 1}, True),
    ],
)
def test_a_pass_is_good_for_one_app_of_one_generation(change: dict[str, str | int], good: bool) -> None:
    found = replace(first_pass("7", "app1", 2, _NOW - 5), **change)  # type: ignore[arg-type]
    assert admits(found, "7", "app1", _PRIVATE, _NOW) is good
    assert not admits(None, "7", "app1", _PRIVATE, _NOW)


def test_a_pass_is_renewed_while_it_is_used_and_not_for_ever() -> None:
    found, now, hours = first_pass("7", "app1", 2, _NOW), _NOW, 0
    assert renewed(found, now + GOOD_SECONDS // 2) is None
    while (later := renewed(found, now + GOOD_SECONDS - 1)) is not None:
        assert (later.since, later.generation) == (_NOW, 2)
        now, found, hours = now + GOOD_SECONDS - 1, later, hours + 1
    assert found == Pass("7", "app1", 2, _NOW, _NOW + 12 * 3600)
    assert hours == 12


async def test_a_link_lets_in_once_for_a_minute_and_into_one_app() -> None:
    watch = Watch()
    admission = Admission(RememberedRules(), _KEY, watch)
    await admission.show("7", "app1", Visibility.PRIVATE)
    ticket = admission.ticket("7", "app1")
    with pytest.raises(NotAdmitted):
        admission.enter("app2", ticket)
    admission.admit("7", "app1", admission.enter("app1", ticket))
    late = admission.ticket("7", "app1")
    for used in (ticket, "", "guess"):
        with pytest.raises(NotAdmitted):
            admission.enter("app1", used)
    watch.at += TICKET_SECONDS
    with pytest.raises(NotAdmitted):
        admission.enter("app1", late)


async def test_another_generation_lets_nobody_in_whom_the_last_one_did() -> None:
    records, watch = RememberedRules(), Watch()
    admission = Admission(records, _KEY, watch)
    assert admission.admit("7", "app1", "") == ""
    await admission.show("7", "app1", Visibility.PRIVATE)
    held, ticket = admission.enter("app1", admission.ticket("7", "app1")), admission.ticket("7", "app1")
    await admission.revoke("7", "app1")
    with pytest.raises(NotAdmitted):
        admission.admit("7", "app1", held)
    with pytest.raises(NotAdmitted):
        admission.enter("app1", ticket)
    # The same after a restart, and for the other apps of the user nothing changed.
    again = Admission(records, _KEY, watch)
    await again.recover()
    assert again.rule("7", "app1") == Rule(Visibility.PRIVATE, 3)
    assert again.rule("7", "app2") == Rule()
    later = again.enter("app1", again.ticket("7", "app1"))
    assert again.admit("7", "app1", later) == ""
    watch.at += GOOD_SECONDS - 1
    renewed_pass = again.admit("7", "app1", later)
    watch.at += GOOD_SECONDS // 2
    with pytest.raises(NotAdmitted):
        again.admit("7", "app1", later)
    again.admit("7", "app1", renewed_pass)


async def test_links_of_one_user_are_bounded_and_take_no_others_away() -> None:
    admission = Admission(RememberedRules(), _KEY, Watch())
    for user in ("7", "8"):
        await admission.show(user, f"app{user}", Visibility.PRIVATE)
    other = admission.ticket("8", "app8")
    tickets = [admission.ticket("7", "app7") for _ in range(100)]
    assert admission.enter("app8", other)
    assert admission.enter("app7", tickets[-1])
    with pytest.raises(NotAdmitted):
        admission.enter("app7", tickets[0])
