"""`python -m daemons.api`."""

from functools import partial

from daemons.api.app import build
from daemons.api.settings import ApiSettings
from daemons.kit.daemon import serve, settings_or_exit

if __name__ == "__main__":
    settings = settings_or_exit(ApiSettings)
    serve(partial(build, settings), host=settings.host, port=settings.port, service=settings.service)
