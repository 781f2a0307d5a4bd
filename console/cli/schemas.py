"""`funai schema VIEW`: the form of what a view is written as, with a version that rises when readers would notice.

Adding a key is no such change; taking one away or giving it another type is. A test holds every form fixed.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import orjson
import typer
from pydantic.json_schema import models_json_schema

from console.cli import names
from console.cli.listing import named
from console.cli.output import say
from console.cli.watching import WATCH_VERSION
from console.live.catalog import VIEWS
from console.live.views.alerts import Alert
from console.live.views.apps import AppRow
from console.live.views.users import UserRow
from protocol.audit import AuditEntry
from protocol.base import Wire
from protocol.drains import DrainView
from protocol.jobs import JobView
from protocol.nodes import NodeView, PlacementView, RunnerView
from protocol.operations import OperationView
from protocol.webhooks import DeliveryView
from protocol.workspace_nodes import WorkspaceNodeView
from protocol.workspace_operators import WorkspaceStanding

app = typer.Typer(rich_markup_mode=None)
#: By view: the version of its form, and the wire model of its objects.
FORMS: Final[Mapping[str, tuple[int, type[Wire]]]] = {
    "overview": (1, Alert),
    "jobs": (1, JobView),
    "nodes": (1, NodeView),
    "placements": (1, PlacementView),
    "runners": (1, RunnerView),
    "apps": (1, AppRow),
    "events": (1, AuditEntry),
    "drains": (1, DrainView),
    "operations": (1, OperationView),
    "webhooks": (1, DeliveryView),
    "users": (1, UserRow),
    "workspaces": (1, WorkspaceStanding),
    "workspace-nodes": (1, WorkspaceNodeView),
}
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


@app.command()
def schema(
    name: Annotated[
        str,
        typer.Argument(metavar="[VIEW]", help="Which view; without one they are listed.", autocompletion=names.views),
    ] = "",
) -> None:
    """Write the JSON Schema of what `funai VIEW --output json|ndjson|csv` writes."""
    if not name:
        say("\n".join(each.name for each in VIEWS))
        return
    say(orjson.dumps(schema_of(named(name).name), option=orjson.OPT_INDENT_2).decode())


def schema_of(name: str) -> dict[str, Any]:
    """One schema: the array of `--output json`; `$defs` has the object of a line (ndjson) and of a change (--watch)."""
    view = named(name)
    version, model = FORMS[name]
    found, definitions = models_json_schema([(model, "serialization")], by_alias=True)
    one = found[model, "serialization"]
    change = {
        "type": "object",
        "required": ["version", "view", "change", "key", "object"],
        "properties": {
            "version": {"const": WATCH_VERSION},
            "view": {"const": name},
            "change": {"enum": ["put", "gone"]},
            "key": {"type": "string"},
            "object": {"anyOf": [one, {"type": "null"}]},
        },
    }
    return {
        "$schema": _DIALECT,
        "$id": f"urn:funai:{name}:{version}",
        "title": view.title,
        "version": version,
        "csvColumns": [field.name for field in view.fields],
        "type": "array",
        "items": one,
        "$defs": {**definitions.get("$defs", {}), "Change": change},
    }
