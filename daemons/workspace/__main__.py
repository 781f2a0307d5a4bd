"""`python -m daemons.workspace`; with `openapi` it prints the contract instead."""

from daemons.kit.daemon import serve, settings_or_exit
from daemons.kit.openapi import print_contract_if_asked
from daemons.workspace.app import GARBAGE, build
from daemons.workspace.settings import WorkspaceSettings

if __name__ == "__main__":
    print_contract_if_asked("daemons.workspace")
    settings = settings_or_exit(WorkspaceSettings)
    serve(lambda: build(settings), host=settings.host, port=settings.port, service=settings.service, garbage=GARBAGE)
