"""`python -m daemons.agent`."""

from daemons.agent.app import build
from daemons.agent.settings import AgentSettings
from daemons.kit.daemon import serve, settings_or_exit

if __name__ == "__main__":
    settings = settings_or_exit(AgentSettings)
    serve(lambda: build(settings), host=settings.host, port=settings.port, service=settings.service)
