"""The port `DomainProofs`: one suite over the twin and over a name server."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from daemons.api.adapters.dns_proofs import DnsProofs
from daemons.api.ports.domains import DomainProofs, ProofsUnreachable
from tests.support.domain_proofs import ProofsTwin, name_server

RECORD = "_funai-verify.www.shop.example"


@dataclass
class Bench:
    """Who is asked, and what there is to be told."""

    proofs: DomainProofs
    twin: ProofsTwin


@pytest.fixture(params=["twin", "dns"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    twin = ProofsTwin()
    if request.param == "twin":
        yield Bench(twin, twin)
    else:
        async with name_server(twin) as server:
            yield Bench(DnsProofs([server]), twin)


async def test_every_text_is_told_whole(bench: Bench) -> None:
    bench.twin.records[RECORD] = ["funai-verify=0123456789abcdef", "v=spf1 -all"]
    assert set(await bench.proofs.texts(RECORD)) == {"funai-verify=0123456789abcdef", "v=spf1 -all"}


async def test_a_name_that_is_not_there_has_none(bench: Bench) -> None:
    assert list(await bench.proofs.texts(RECORD)) == []
    bench.twin.records[RECORD] = ["now"]
    assert list(await bench.proofs.texts(RECORD)) == ["now"]


async def test_no_answer_is_no_absence(bench: Bench) -> None:
    bench.twin.away = True
    with pytest.raises(ProofsUnreachable):
        await bench.proofs.texts(RECORD)
