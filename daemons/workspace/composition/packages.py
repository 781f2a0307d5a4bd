"""Puts together where packages come from and what is kept of them."""

from typing import Final

from aiohttp import web

from daemons.kit.clock import Clock
from daemons.workspace.adapters.cache_files import DiskCacheFiles
from daemons.workspace.adapters.trees import Disk
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.domain.packages import Sources
from daemons.workspace.services.caches import Caches, limits
from daemons.workspace.services.workspaces import Workspaces
from daemons.workspace.settings import WorkspaceSettings

CACHES: Final = web.AppKey("caches", Caches)


def sources(settings: WorkspaceSettings) -> Sources:
    """Registries and proxies."""
    proxies = settings.http_proxy, settings.https_proxy, settings.no_proxy
    return Sources(settings.npm_registry, settings.pip_index, *proxies)


def add_caches(wiring: Wiring, workspaces: Workspaces, disk: Disk, clock: Clock) -> Caches:
    """The caches of users, and what keeps them small."""
    settings = wiring.settings
    most = limits(settings.npm_cache_megabytes, settings.pip_cache_megabytes)
    wiring.app[CACHES] = caches = Caches(workspaces, DiskCacheFiles(disk), most, clock)
    wiring.loop(caches.run)
    return caches
