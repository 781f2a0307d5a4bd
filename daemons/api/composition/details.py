"""What operators see of one app, over the API's parts."""

from aiohttp import web

from daemons.api.adapters.sql.deletions import SqlDeletions
from daemons.api.adapters.sql.domains import SqlDomains
from daemons.api.adapters.sql.pushes import SqlPushes
from daemons.api.adapters.sql.stores import SqlApps
from daemons.api.http.app_details import AppDetailRoutes
from daemons.api.http.apps import AppRoutes
from daemons.api.services.app_details import AppDetails, Records
from daemons.api.services.apps import Apps
from daemons.kit.sql import Database


def add_details(app: web.Application, database: Database, apps: Apps, routes: AppRoutes) -> None:
    """Its route; `routes` say how an app is shown."""
    records = Records(SqlApps(database), SqlDomains(database), SqlPushes(database), SqlDeletions(database))
    app.add_routes(AppDetailRoutes(AppDetails(records, apps), routes).table())
