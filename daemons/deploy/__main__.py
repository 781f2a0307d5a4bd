"""`python -m daemons.deploy`."""

from daemons.deploy.app import open_app
from daemons.deploy.settings import DeploySettings
from daemons.kit.daemon import serve, settings_or_exit

if __name__ == "__main__":
    settings = settings_or_exit(DeploySettings)
    serve(lambda: open_app(settings), host=settings.host, port=settings.port, service=settings.service)
