"""Puts together what the API asks of a node for itself."""

from daemons.workspace.adapters.app_folders import DiskAppFolders
from daemons.workspace.composition.files import FileServices
from daemons.workspace.composition.git import GitServices
from daemons.workspace.composition.outside import Parts
from daemons.workspace.composition.services import Services
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.domain.idle import Patience
from daemons.workspace.http.upkeep import UpkeepRoutes
from daemons.workspace.services.leavings import Leavings, Places, Users


def add_upkeep(wiring: Wiring, parts: Parts, services: Services, files: FileServices, git: GitServices | None) -> None:
    """Who is busy and idle, and what apps leave behind."""
    settings = wiring.settings
    users = Users(
        services.workspaces, services.runs, services.terminals, files.uploads, git.git if git is not None else None
    )
    folders = DiskAppFolders(files.disk, parts.homes)
    keys = git.keys if git is not None else None
    places = Places(folders, parts.runs.logs, keys, services.databases)
    patience = Patience(settings.idle_freeze_minutes, settings.idle_stop_minutes)
    leavings = Leavings(users, places, parts.clock)
    wiring.serve(UpkeepRoutes(services.workspaces, services.runs, leavings, patience, parts.clock).table())
