"""Workspace nodes as an API of a test knows them."""

from daemons.api.adapters.workspace_calls import HttpNodeCalls
from daemons.api.composition.workspaces import WorkspaceParts


def unreached() -> WorkspaceParts:
    """For an API that no workspace node belongs to."""
    calls = HttpNodeCalls("")
    return WorkspaceParts(calls, calls)
