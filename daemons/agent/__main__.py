"""`python -m daemons.agent`; with `openapi` it prints the contract instead."""

from daemons.agent.app import build
from daemons.agent.settings import AgentSettings
from daemons.kit.daemon import serve, settings_or_exit
from daemons.kit.openapi import print_contract_if_asked

if __name__ == "__main__":
    print_contract_if_asked("daemons.agent")
    settings = settings_or_exit(AgentSettings)
    serve(lambda: build(settings), host=settings.host, port=settings.port, service=settings.service)
