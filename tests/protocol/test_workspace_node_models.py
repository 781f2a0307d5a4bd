"""Golden JSON of what workspace nodes report and operators order: a change of these files changes the contract."""

from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from protocol.base import Wire
from protocol.workspace_nodes import (
    DrainWorkspaces,
    OfWorkspaceNode,
    RawWorkspaceNode,
    ReassignWorkspace,
    SetWorkspaceNodeEnabled,
    UpsertWorkspaceNode,
    WorkspaceHeld,
    WorkspaceNodeHealth,
    WorkspaceNodeHeartbeat,
    WorkspaceNodeLoad,
    WorkspaceNodes,
    WorkspaceNodeView,
    WorkspacePlacements,
    WorkspacePlacementView,
    WorkspacesDrained,
)

GOLDEN = Path(__file__).parent / "golden"
GATE, API = "http://172.21.138.87", "http://172.21.138.87:7001"
LOAD = WorkspaceNodeLoad(
    containers_running=3,
    containers_frozen=2,
    containers_stopped=1,
    disk_free_bytes=600,
    disk_total_bytes=1000,
    quota="image",
)
VIEW = WorkspaceNodeView(
    **LOAD.model_dump(),
    node_id=1,
    name="ws-node-01",
    nginx_base_url=GATE,
    api_base_url=API,
    enabled=True,
    weight=100,
    assigned_users=6,
    last_heartbeat_at_ms=1767323045678,
    health=WorkspaceNodeHealth.HEALTHY,
    version="0.1.0",
    reason=None,
)
PLACEMENT = WorkspacePlacementView(user_id="7", node_id=1, last_active_at=1767323045678, epoch=2)
MODELS: dict[str, Wire] = {
    "load": LOAD,
    "heartbeat": WorkspaceNodeHeartbeat(
        **LOAD.model_dump(),
        node_name="ws-node-01",
        nginx_base_url=GATE,
        api_base_url=API,
        version="0.1.0",
        interval_seconds=15,
    ),
    "raw": RawWorkspaceNode(
        id=1,
        name="ws-node-01",
        nginx_base_url=GATE,
        api_base_url=API,
        enabled=True,
        weight=100,
        last_heartbeat_at=datetime(2026, 1, 2, 3, 4, 5, 678000, UTC),
    ),
    "view": VIEW,
    "nodes": WorkspaceNodes(total_users=9, total_placements=6, nodes=(VIEW,)),
    "upsert": UpsertWorkspaceNode(id=1, name="ws-node-01", nginx_base_url=GATE, api_base_url=API, enabled=True),
    "set_enabled": SetWorkspaceNodeEnabled(node_id=1, enabled=False),
    "of_node": OfWorkspaceNode(node_id=1),
    "placement": PLACEMENT,
    "placements": WorkspacePlacements(node_id=1, total=1, items=(PLACEMENT,)),
    "reassign": ReassignWorkspace(user_id="7", target_node_id=2),
    "drain": DrainWorkspaces(source_node_id=1, target_node_id=2, limit=5),
    "drained": WorkspacesDrained(source_node_id=1, target_node_id=2, moved=4, refused={"7": "has files"}),
    "held": WorkspaceHeld(user_id="7", held=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_wire_form_is_the_golden_one(name: str) -> None:
    model = MODELS[name]
    golden = (GOLDEN / f"workspace_nodes_{name}.json").read_bytes()
    assert orjson.dumps(model.to_data(), option=orjson.OPT_INDENT_2) + b"\n" == golden
    assert type(model).model_validate_json(golden) == model


@pytest.mark.parametrize("name", MODELS)
def test_unknown_keys_are_ignored(name: str) -> None:
    document = orjson.loads((GOLDEN / f"workspace_nodes_{name}.json").read_bytes()) | {"fromTheFuture": [1]}
    assert type(MODELS[name]).model_validate_json(orjson.dumps(document)) == MODELS[name]


@pytest.mark.parametrize(("said", "meant"), [(0, False), (1, True), (False, False), (True, True)])
def test_existing_clients_switch_nodes_by_number(said: object, meant: bool) -> None:
    assert SetWorkspaceNodeEnabled.model_validate_json(orjson.dumps({"nodeId": 1, "enabled": said})).enabled is meant


@pytest.mark.parametrize("said", [2, "1", None, -1])
def test_nothing_else_is_a_switch(said: object) -> None:
    with pytest.raises(ValueError, match="enabled"):
        SetWorkspaceNodeEnabled.model_validate_json(orjson.dumps({"nodeId": 1, "enabled": said}))
