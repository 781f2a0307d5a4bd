"""`python -m daemons.workspace`."""

from daemons.kit.daemon import serve, settings_or_exit
from daemons.workspace.app import GARBAGE, build
from daemons.workspace.settings import WorkspaceSettings

if __name__ == "__main__":
    settings = settings_or_exit(WorkspaceSettings)
    serve(lambda: build(settings), host=settings.host, port=settings.port, service=settings.service, garbage=GARBAGE)
