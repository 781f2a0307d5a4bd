"""Golden JSON of every wire model of the deploy plane: a change of these files is a change of the contract."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from protocol.base import Envelope, Wire
from protocol.events import EVENT
from protocol.jobs import JobView
from tests.protocol.samples import PENDING, SAMPLES
from tests.protocol.samples_accounts import ACCOUNT_SAMPLES
from tests.protocol.samples_apps import APP_SAMPLES
from tests.protocol.samples_files import FILE_SAMPLES
from tests.protocol.samples_git import GIT_SAMPLES
from tests.protocol.samples_loans import LOAN_SAMPLES
from tests.protocol.samples_moves import MOVE_SAMPLES
from tests.protocol.samples_operators import OPERATOR_SAMPLES
from tests.protocol.samples_pushes import PUSH_SAMPLES
from tests.protocol.samples_workspace import WORKSPACE_SAMPLES

GOLDEN = Path(__file__).parent / "golden"
MODULES = (
    "protocol.accounts",
    "protocol.app_details",
    "protocol.jobs",
    "protocol.logs",
    "protocol.apps",
    "protocol.nodes",
    "protocol.audit",
    "protocol.events",
    "protocol.git_loans",
    "protocol.drains",
    "protocol.pushes",
    "protocol.releases",
    "protocol.replicas",
    "protocol.operations",
    "protocol.inventory",
    "protocol.webhooks",
    "protocol.configuration",
    "protocol.databases",
    "protocol.returns",
    "protocol.running",
    "protocol.shell",
    "protocol.workspace_databases",
    "protocol.workspace_files",
    "protocol.workspace_git",
    "protocol.workspace_moves",
    "protocol.workspace_operators",
    "protocol.workspace_runs",
    "protocol.workspace_previews",
    "protocol.workspace_terminals",
    "protocol.workspace_upkeep",
    "protocol.workspaces",
)
ALL = (
    *SAMPLES,
    *ACCOUNT_SAMPLES,
    *APP_SAMPLES,
    *FILE_SAMPLES,
    *GIT_SAMPLES,
    *LOAN_SAMPLES,
    *MOVE_SAMPLES,
    *OPERATOR_SAMPLES,
    *PUSH_SAMPLES,
    *WORKSPACE_SAMPLES,
)


def name_of(kind: type[Wire]) -> str:
    words = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
    return f"{kind.__module__.removeprefix('protocol.')}_{words}"


def kinds(base: type[Wire]) -> set[type[Wire]]:
    return {base}.union(*(kinds(each) for each in base.__subclasses__()))


def golden(sample: Wire) -> bytes:
    return (GOLDEN / f"{name_of(type(sample))}.json").read_bytes()


def test_every_wire_model_has_a_sample() -> None:
    wanted = {kind for kind in kinds(Wire) if kind.__module__ in MODULES}
    assert {type(sample) for sample in ALL} == wanted


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: name_of(type(sample)))
def test_the_wire_form_is_the_golden_one_both_ways(sample: Wire) -> None:
    text = golden(sample)
    assert orjson.dumps(sample.to_data(), option=orjson.OPT_INDENT_2) + b"\n" == text
    assert orjson.loads(sample.to_json()) == orjson.loads(text)
    assert type(sample).model_validate_json(text) == sample


@pytest.mark.parametrize("sample", ALL, ids=lambda sample: name_of(type(sample)))
def test_keys_from_the_future_are_ignored(sample: Wire) -> None:
    document = orjson.loads(golden(sample)) | {"fromTheFuture": [1]}
    assert type(sample).model_validate_json(orjson.dumps(document)) == sample


@pytest.mark.parametrize(
    "kind", ["job", "node", "runner", "placement", "app", "operation", "drain", "webhook", "database", "reset", "beat"]
)
def test_every_event_is_told_apart_by_its_kind(kind: str) -> None:
    text = (GOLDEN / f"events_{kind}_event.json").read_bytes()
    event = EVENT.validate_json(text)
    assert event.kind == kind and type(event).__name__.lower() == f"{kind}event"


def test_existing_clients_find_the_keys_they_know_also_when_null() -> None:
    known = ["id", "type", "status", "payload", "errorMessage", "runnerId", "leaseExpireAt", "runtimeNode", "deployUrl"]
    document: dict[str, Any] = orjson.loads(PENDING.to_json())
    assert list(document)[:11] == [*known, "createdAt", "updatedAt"]
    assert document["errorMessage"] is None and document["payload"] == {"userId": "1", "appId": "20001"}
    assert document["createdAt"].endswith("Z")


def test_an_unknown_value_of_a_closed_list_is_refused() -> None:
    document = orjson.loads(PENDING.to_json()) | {"status": "PAUSED"}
    with pytest.raises(ValueError, match="status"):
        JobView.model_validate_json(orjson.dumps(document))


def test_the_envelope_holds_its_three_keys_and_a_reason() -> None:
    refusal = Envelope[None](code=409, message="busy", reason="app_busy")
    assert orjson.loads(refusal.to_json()) == {"code": 409, "message": "busy", "data": None, "reason": "app_busy"}
