"""`python -m daemons.deploy`, `python -m daemons.deploy promote` after a failover of the database, and `python -m
daemons.deploy openapi`, which prints the contract."""

import asyncio
import sys

from daemons.deploy.app import open_app, promote_database
from daemons.deploy.settings import DeploySettings
from daemons.kit.daemon import serve, settings_or_exit
from daemons.kit.openapi import print_contract_if_asked

if __name__ == "__main__":
    print_contract_if_asked("daemons.deploy")
    settings = settings_or_exit(DeploySettings)
    if sys.argv[1:] == ["promote"]:
        raise SystemExit(asyncio.run(promote_database(settings)))
    serve(lambda: open_app(settings), host=settings.host, port=settings.port, service=settings.service)
