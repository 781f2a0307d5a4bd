"""Who holds something open is looked up again, and ended when nobody lets them go on."""

from contextlib import ExitStack

import pytest

from daemons.api.domain.access import Proof
from daemons.api.services.watch import Held, Watch
from daemons.kit.sql import DatabaseUnavailable
from protocol.accounts import Role

ALICE, BOB = Proof(1, Role.USER, "s1"), Proof(2, Role.USER, None, "hash")


class Known:
    """Who may go on."""

    def __init__(self) -> None:
        self.over: set[Proof] = set()
        self.asked: list[Proof] = []
        self.away = False
        self.during: ExitStack | None = None

    async def last(self, proof: Proof) -> bool:
        self.asked.append(proof)
        if self.during is not None:
            self.during.close()
        if self.away:
            raise DatabaseUnavailable("away")
        return proof not in self.over


class Lines:
    """What people hold open."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.ended: list[Proof] = []

    def open(self, stack: ExitStack, proof: Proof) -> Held:
        held = Held(proof, lambda: self.ended.append(proof))
        stack.enter_context(self._watch.over(held))
        return held


async def test_only_those_end_whose_right_is_over() -> None:
    known = Known()
    watch = Watch(known, 1, 900)
    lines = Lines(watch)
    with ExitStack() as stack:
        for proof in (ALICE, ALICE, BOB):
            lines.open(stack, proof)
        await watch.look()
        assert (known.asked, lines.ended) == ([], []), "what has just begun was let in just now"
        await watch.look()
        assert (sorted(known.asked, key=lambda proof: proof.user_id), lines.ended) == ([ALICE, BOB], [])
        known.over = {ALICE}
        await watch.look()
        assert lines.ended == [ALICE, ALICE]


async def test_what_has_ended_itself_is_left_alone() -> None:
    """Its connection may carry somebody else's request by then."""
    known = Known()
    watch = Watch(known, 1, 900)
    lines = Lines(watch)
    with ExitStack() as stack, ExitStack() as short:
        lines.open(stack, ALICE)
        known.during = short
        for _ in range(2):
            lines.open(short, BOB)
        await watch.look()
        known.over = {ALICE, BOB}
        await watch.look()
        assert lines.ended == [ALICE]
    known.asked.clear()
    await watch.look()
    assert known.asked == []


@pytest.mark.parametrize(("patience", "ends"), [(900.0, False), (0.0, True)])
async def test_without_a_database_lines_go_on_as_long_as_a_token_is_good(patience: float, ends: bool) -> None:
    known = Known()
    known.away = True
    watch = Watch(known, 1, patience)
    lines = Lines(watch)
    with ExitStack() as stack:
        for proof in (ALICE, BOB):
            lines.open(stack, proof)
        for _ in range(4):
            await watch.look()
        assert sorted(proof.user_id for proof in set(lines.ended)) == ([1, 2] if ends else [])
        assert len(known.asked) == 3, "whoever comes second in a look would wait for the same database"
        known.away, lines.ended = False, []
        await watch.look()
        assert lines.ended == []
